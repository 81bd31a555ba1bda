//! `DIFFERENCES.md` by examples: each of its rows is true of the versions that are compared.

use ccs_fuzz::foreign::{roxmltree_takes, rxml_takes};
use ccs_proto::XmlLimits;
use ccs_proto::internals::{Frame, Framer, Reader};

const HEADER: &str = "<s:s xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>";

/// Whether framer and reader take the whole document as a stream.
fn ours(document: &str) -> bool {
    let limits = XmlLimits::default();
    let (mut framer, mut reader) = (Framer::new(limits), Reader::new(limits));
    let mut rest = document.as_bytes();
    loop {
        let taken = match framer.next(&mut rest) {
            Ok(Some(Frame::StreamOpen(tag))) => reader.open(tag).is_ok(),
            Ok(Some(Frame::Element(element))) => match reader.element(element) {
                Ok(mut cursor) => cursor.next().is_ok() && cursor.skip().is_ok(),
                Err(_) => false,
            },
            Ok(Some(_)) => true,
            Ok(None) => return true,
            Err(_) => false,
        };
        if !taken {
            return false;
        }
    }
}

fn verdicts(document: &str) -> (bool, bool, bool) {
    (
        ours(document),
        rxml_takes(document),
        roxmltree_takes(document),
    )
}

fn in_a_stream(what: &str) -> String {
    format!("{HEADER}{what}</s:s>")
}

#[test]
fn what_we_refuse_and_others_take() {
    let many: String = (0..33).map(|n| format!(" a{n}=''")).collect();
    for (what, rxml, roxmltree) in [
        (in_a_stream("<a><!-- c --></a>"), false, true),
        (in_a_stream("<a><?b?></a>"), false, true),
        (in_a_stream("<a>&c;</a>"), false, false),
        (format!("<!DOCTYPE s>{}", in_a_stream("")), false, false),
        (
            format!("<?xml version='1.0' standalone='no'?>{}", in_a_stream("")),
            false,
            true,
        ),
        (
            format!("<?xml version='1.0' encoding='latin1'?>{}", in_a_stream("")),
            false,
            true,
        ),
        (in_a_stream("<a xmlns='b' xmlns='b'/>"), true, true),
        (in_a_stream("\u{feff}"), true, true),
        (in_a_stream("\u{e9}"), true, true),
        (in_a_stream("&amp;"), true, true),
        (in_a_stream("<![CDATA[]]>"), true, true),
        (in_a_stream("<a><s:b/></a>"), true, true),
        (format!("{}<!-- c -->", in_a_stream("")), false, true),
        ("<a/>".to_owned(), true, true),
        (in_a_stream(&format!("<a{many}/>")), true, true),
    ] {
        assert_eq!(verdicts(&what), (false, rxml, roxmltree), "{what}");
    }
}

#[test]
fn what_we_take_and_others_refuse() {
    for (what, rxml, roxmltree) in [
        (in_a_stream("<a b='\rc'/>"), false, true),
        (in_a_stream("<\u{ffa9}/>"), false, true),
        (in_a_stream("<a>&#000000065;</a>"), false, true),
        (in_a_stream("<xml:a/>"), true, false),
        (format!("\u{feff}{}", in_a_stream("")), false, true),
        (format!("\n{}", in_a_stream("")), false, true),
    ] {
        assert_eq!(verdicts(&what), (true, rxml, roxmltree), "{what}");
    }
}
