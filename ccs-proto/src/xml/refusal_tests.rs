use super::XmlError;
use super::XmlError::{
    BadNamespacePrefix, NotWellFormed, Restricted, TooLarge, UnsupportedEncoding,
};
use super::reader_tests::{items, reader};
use super::{Reader, XmlLimits};

#[track_caller]
fn refused(element: impl AsRef<[u8]>, error: XmlError) {
    let element = element.as_ref();
    let name = String::from_utf8_lossy(element);
    assert_eq!(items(&mut reader(), element), Err(error.clone()), "{name}");
    let mut reader = reader();
    let skipped = reader.element(element).and_then(|mut cursor| {
        cursor.next()?;
        cursor.skip()?;
        cursor.next().map(drop)
    });
    assert_eq!(skipped, Err(error), "skipping {name}");
}

#[test]
fn refuses_broken_tags() {
    let name = || NotWellFormed("a name with a character that it cannot hold");
    let quoted = || NotWellFormed("an attribute without a quoted value");
    let doubled = || NotWellFormed("an attribute twice in one tag");
    let end = || NotWellFormed("an end tag that closes no element");
    for (element, error) in [
        ("< a/>", name()),
        ("<1/>", name()),
        ("<>", name()),
        ("<a:/>", name()),
        ("<:a/>", name()),
        ("<a:b:c/>", name()),
        ("<a\u{d7}/>", name()),
        ("<a/b='c'/>", name()),
        ("<a 1='c'/>", name()),
        ("<a ='c'/>", quoted()),
        (
            "<a ='b=' c='d'/>",
            NotWellFormed("no white space between attributes"),
        ),
        ("<a xmlns:=''/>", name()),
        ("<a b/>", quoted()),
        ("<a b=c/>", quoted()),
        ("<a b= />", quoted()),
        ("<a / >", quoted()),
        ("<a b='c\"/>", NotWellFormed("a tag without an end")),
        (
            "<a b='c'd='e'/>",
            NotWellFormed("no white space between attributes"),
        ),
        (
            "<a b='c'/ d='e'/>",
            NotWellFormed("no white space between attributes"),
        ),
        ("<a b='<'/>", NotWellFormed("`<` in an attribute value")),
        ("<a <b='c'/>", NotWellFormed("`<` inside a tag")),
        (
            "<a b='&lt'/>",
            NotWellFormed("`&` that begins no reference"),
        ),
        ("<a b='1' b='2'/>", doubled()),
        ("<a b='1' c='' d='' e='' f='' f=''/>", doubled()),
        ("<a xmlns='u' xmlns='u'/>", doubled()),
        ("<a xmlns='' xmlns=''/>", doubled()),
        ("<a xmlns:p='u' xmlns:p='v'/>", doubled()),
        ("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", doubled()),
        ("<a xml:lang='' xml:lang=''/>", doubled()),
        ("<p:a/>", BadNamespacePrefix),
        ("<a p:b=''/>", BadNamespacePrefix),
        ("<a><b xmlns:p='u'/><p:c/></a>", BadNamespacePrefix),
        ("<xmlns:a/>", BadNamespacePrefix),
        ("<a xmlns:xmlns='u'/>", BadNamespacePrefix),
        ("<a xmlns:xml='u'/>", BadNamespacePrefix),
        (
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            BadNamespacePrefix,
        ),
        (
            "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            BadNamespacePrefix,
        ),
        (
            "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            BadNamespacePrefix,
        ),
        (
            "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            BadNamespacePrefix,
        ),
        (
            "<a xmlns:p=''/>",
            NotWellFormed("a prefix for no namespace"),
        ),
        ("<a></b>", end()),
        ("<a></a b='c'>", end()),
        ("<a></ a>", end()),
        ("<a></aa>", end()),
        ("<a><b></a></b>", end()),
        ("<p:a xmlns:p='u' xmlns:q='u'></q:a>", end()),
        ("</a>", end()),
        ("<a><b></b>", NotWellFormed("an element without an end")),
        ("<a>", NotWellFormed("an element without an end")),
        ("<a", NotWellFormed("a tag without an end")),
        ("<a></a", NotWellFormed("a tag without an end")),
        ("", NotWellFormed("an element without an end")),
        ("<a/> ", NotWellFormed("data after an element")),
        ("<a/><b/>", NotWellFormed("data after an element")),
        ("<a></a>x", NotWellFormed("data after an element")),
        ("x<a/>", NotWellFormed("text before an element")),
        ("<![CDATA[]]><a/>", NotWellFormed("text before an element")),
        (
            "<a><![CDATA[]]",
            NotWellFormed("a CDATA section without an end"),
        ),
        (
            "<a><!-- --></a>",
            Restricted("a comment or a document type"),
        ),
        (
            "<!DOCTYPE a><a/>",
            Restricted("a comment or a document type"),
        ),
        ("<a><?p?></a>", Restricted("a processing instruction")),
        (
            "<a><stream:error/></a>",
            NotWellFormed("an element of the stream inside a stanza"),
        ),
        (
            "<a><b xmlns='http://etherx.jabber.org/streams'/></a>",
            NotWellFormed("an element of the stream inside a stanza"),
        ),
    ] {
        refused(element, error);
    }
}

#[test]
fn refuses_characters_that_are_none() {
    let places = [
        "<a@/>",
        "<a @=''/>",
        "<a b='@'/>",
        "<a>@</a>",
        "<a><![CDATA[@]]></a>",
    ];
    let bad: [&[u8]; 8] = [
        b"\xc0\xbc",
        b"\xeb\x3c\x3e",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe0\x80\xbc",
        b"\xff",
        b"\x80",
        b"\xf0\x9f",
    ];
    for place in places {
        let (before, after) = place.split_once('@').unwrap();
        for bytes in bad {
            refused(
                [before.as_bytes(), bytes, after.as_bytes()].concat(),
                UnsupportedEncoding,
            );
        }
        for character in ["\0", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            refused(
                place.replace('@', character),
                NotWellFormed("a character that XML forbids"),
            );
        }
    }
}

#[test]
fn refuses_bad_references() {
    let bare = || NotWellFormed("`&` that begins no reference");
    let forbidden = || NotWellFormed("a reference to a character that XML forbids");
    let entity = || Restricted("an entity other than the predefined five");
    for (raw, error) in [
        ("&", bare()),
        ("& amp;", bare()),
        ("&;", bare()),
        ("&quot", bare()),
        ("&#;", bare()),
        ("&#x;", bare()),
        ("&#-1;", bare()),
        ("&#+65;", bare()),
        ("&#x+41;", bare()),
        ("&#X41;", bare()),
        ("&#4a;", bare()),
        ("&#0;", forbidden()),
        ("&#x1F;", forbidden()),
        ("&#xD800;", forbidden()),
        ("&#xFFFE;", forbidden()),
        ("&#x110000;", forbidden()),
        ("&#99999999999999999999;", forbidden()),
        ("&nbsp;", entity()),
        ("&QUOT;", entity()),
        ("&lol9;", entity()),
    ] {
        refused(format!("<a>{raw}</a>"), error.clone());
        refused(format!("<a>x\r{raw}</a>"), error.clone());
        refused(format!("<a b='{raw}'/>"), error);
    }
    for raw in ["]]>", "x&amp;]]>", "> ]]]>y", "\r]]>"] {
        refused(format!("<a>{raw}</a>"), NotWellFormed("`]]>` in text"));
    }
}

#[test]
fn limits_on_the_number() {
    let too_large = |what, limit| TooLarge { what, limit };
    let good = |element: String| {
        let read = items(&mut reader(), element.as_bytes());
        assert!(read.is_ok(), "{element}: {read:?}");
    };
    let list = |count: usize, name: &str| -> String {
        (0..count).map(|n| format!(" {name}{n}='u{n}'")).collect()
    };
    let attributes = |count| format!("<a{}/>", list(count, "b"));
    good(attributes(31));
    good(attributes(32));
    refused(attributes(33), too_large("attributes of an element", 32));
    let declarations = |count| format!("<a{}/>", list(count, "xmlns:p"));
    good(declarations(8));
    refused(
        declarations(9),
        too_large("namespace declarations of an element", 8),
    );
    let nested = |depth: usize, inner: &str| {
        format!("{}{inner}{}", "<a>".repeat(depth), "</a>".repeat(depth))
    };
    good(nested(16, ""));
    good(nested(15, "<a/>"));
    refused(
        nested(16, "<a/>"),
        too_large("elements inside one another", 16),
    );
    let all = list(8, "xmlns:p");
    let scopes = |depth: usize| {
        format!(
            "{}{}",
            format!("<a{all}>").repeat(depth),
            "</a>".repeat(depth)
        )
    };
    good(scopes(15));
    refused(
        scopes(16),
        too_large("namespace declarations in force", 128),
    );

    let names = too_large("bytes of a name", 256);
    good(format!("<{0} {0}=''></{0}>", "n".repeat(256)));
    refused(format!("<{}/>", "n".repeat(257)), names.clone());
    refused(format!("<a {}=''/>", "n".repeat(257)), names);
    let value = |length| format!("<a b='{}'/>", "v".repeat(length));
    good(value(8192));
    refused(value(8193), too_large("bytes of an attribute value", 8192));
    let mut reader = Reader::new(XmlLimits {
        text: 5,
        ..XmlLimits::default()
    });
    let texts = too_large("bytes of text", 5);
    for (run, good) in [
        ("1234", true),
        ("&lt;5", true),
        ("12345", true),
        ("12345<b/>67890<![CDATA[12345]]>", true),
        ("123456", false),
        ("&lt;56", false),
        ("<![CDATA[123456]]>", false),
    ] {
        let read = items(&mut reader, format!("<a>{run}</a>").as_bytes()).map(drop);
        let expected = if good { Ok(()) } else { Err(texts.clone()) };
        assert_eq!(read, expected, "{run}");
    }
    let element = |length: usize| format!("<a>{}</a>", "x".repeat(length - 7));
    good(element(65_536));
    refused(element(65_537), too_large("bytes of an element", 65_536));
}
