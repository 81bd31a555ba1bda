//! Input that repeats one thing for as long as one likes: wherever something may stand, or may wrongly stand.

/// `start`, then `unit` again and again, then `end`.
pub struct Shape {
    pub name: &'static str,
    pub start: &'static str,
    pub unit: &'static str,
    pub end: &'static str,
}

const GCM: &str = "<message><gcm xmlns='google:mobile:data'>";
const GCM_END: &str = "</gcm></message>";
const JSON: &str =
    "<message><gcm xmlns='google:mobile:data'>{\"to\":\"T\",\"message_id\":\"m\",\"data\":{\"k\":";
const JSON_END: &str = "}}</gcm></message>";

const fn shape(
    name: &'static str,
    start: &'static str,
    unit: &'static str,
    end: &'static str,
) -> Shape {
    Shape {
        name,
        start,
        unit,
        end,
    }
}

pub const SHAPES: &[Shape] = &[
    // Between stanzas.
    shape("spaces", "", " ", ""),
    shape("line ends", "", "\r\n", ""),
    shape("stray text", "", "a", ""),
    shape("stray brackets", "", "]", ""),
    shape("stray words", "", "a ", ""),
    shape("empty elements", "", "<a/>", ""),
    shape("empty messages", "", "<message/>", ""),
    shape("presences", "", "<presence></presence>", ""),
    shape(
        "pings",
        "",
        "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
        "",
    ),
    shape(
        "prefixed elements",
        "",
        "<p:a xmlns:p='urn:p' p:b='' p:c=''/>",
        "",
    ),
    shape(
        "declarations",
        "",
        "<a xmlns:b='b' xmlns:c='c' xmlns:d='d' xmlns:e='e'/>",
        "",
    ),
    // Text.
    shape("text", GCM, "a", GCM_END),
    shape("text without end", GCM, "a", ""),
    shape("long characters", GCM, "\u{65e5}", GCM_END),
    shape("characters like U+FFFE", GCM, "\u{feff}", GCM_END),
    shape("references", GCM, "&amp;", GCM_END),
    shape("references by number", GCM, "&#x41;", GCM_END),
    shape("a reference without end", GCM, "&amp", GCM_END),
    shape("a number without end", "<a>&#", "0", ";</a>"),
    shape("carriage returns", GCM, "\r", GCM_END),
    shape("brackets", GCM, "]", GCM_END),
    shape("greater-thans", GCM, ">", GCM_END),
    shape("CDATA", "<a><![CDATA[", "a", "]]></a>"),
    shape("CDATA of brackets", "<a><![CDATA[", "]", "]]></a>"),
    shape("CDATA without end", "<a><![CDATA[", "]]", ""),
    shape("CDATA sections", "<a>", "<![CDATA[]]>", "</a>"),
    shape("texts between elements", "<message>", "a<b/>", "</message>"),
    // Tags.
    shape("siblings", "<message>", "<a b='c'></a>", "</message>"),
    shape("levels", "", "<a>", ""),
    shape("a name", "<", "a", "/>"),
    shape("attributes", "<a", " b='c'", "/>"),
    shape(
        "other attributes",
        "<message><a b='1' c='2' d='3' e='4' f='5' g='6'/>",
        "<a b='' c='' d='' e='' f='' g=''/>",
        "</message>",
    ),
    shape("an attribute's value", "<a b='", "c", "'/>"),
    shape(
        "references in attributes",
        "<message>",
        "<a b='&lt;&amp;&#10;\r\n'/>",
        "</message>",
    ),
    shape("spaces in a tag", "<a", " ", "/>"),
    shape("spaces in an end tag", "<a></a", " ", ">"),
    shape("quotes", "<message>", "<a b='\"' c=\"'>\"/>", "</message>"),
    // Bodies.
    shape(
        "JSON string",
        "<message><gcm xmlns='google:mobile:data'>{\"message_id\":\"",
        "a",
        "\"}</gcm></message>",
    ),
    shape(
        "JSON escapes",
        "<message><gcm xmlns='google:mobile:data'>{\"message_id\":\"",
        "\\n",
        "\"}</gcm></message>",
    ),
    shape("JSON levels", JSON, "[", JSON_END),
    shape("JSON arrays", JSON, "[],", JSON_END),
    shape("JSON members", JSON, "1,\"k\":", "1}}</gcm></message>"),
    shape(
        "JSON surrogates",
        JSON,
        "\"\\ud800\",\"k\":",
        "1}}</gcm></message>",
    ),
    shape("JSON digits", JSON, "1", JSON_END),
    shape(
        "a condition",
        "<message><gcm xmlns='google:mobile:data'>{\"message_id\":\"m\",\"condition\":\"",
        "!(",
        "\"}</gcm></message>",
    ),
    shape(
        "messages",
        "",
        "<message><gcm xmlns='google:mobile:data'>{\"message_id\":\"m\",\"to\":\"T\"}</gcm></message>",
        "",
    ),
    shape(
        "acks",
        "",
        "<message><gcm xmlns='google:mobile:data'>{\"message_id\":\"m\",\"to\":\"T\",\"message_type\":\"ack\"}</gcm></message>",
        "",
    ),
    shape(
        "base64",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>",
        "A",
        "</auth>",
    ),
    shape(
        "base64 in lines",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>",
        "AAAA\n",
        "</auth>",
    ),
];

impl Shape {
    /// About so many bytes of it.
    pub fn of(&self, bytes: usize) -> Vec<u8> {
        let mut out = self.start.as_bytes().to_vec();
        while out.len() < bytes {
            out.extend_from_slice(self.unit.as_bytes());
        }
        out.extend_from_slice(self.end.as_bytes());
        out
    }
}
