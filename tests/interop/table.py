"""The table: one row a peer, one column a case, between two markers in the README."""

COLUMNS = [
    "log in", "bad key", "ping", "send, ack", "nack", "receive, ack", "receipt", "draining", "disconnect", "redelivery",
    "strict", "restart",
]
BEGIN = "<!-- printed by tests/interop/run -->"
END = "<!-- end of what tests/interop/run prints -->"


def rows(results):
    """The lines of the table. `results` has the cells of each peer by case."""
    yield "| | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for name, cells in results.items():
        yield f"| {name} | " + " | ".join(cells.get(column, "") for column in COLUMNS) + " |"


def in_readme(readme):
    """The lines between the markers."""
    lines = readme.splitlines()
    begin, end = lines.index(BEGIN), lines.index(END)
    return [line for line in lines[begin + 1 : end] if line]


def put_into(readme, table):
    """The README with the table in it."""
    head, rest = readme.split(BEGIN + "\n")
    _, tail = rest.split(END)
    return head + BEGIN + "\n\n" + "\n".join(table) + "\n\n" + END + tail
