use proptest::prelude::*;

use super::XmlError::{NotWellFormed, Restricted, TooLarge, UnsupportedEncoding};
use super::{Frame, Framer, XmlError, XmlLimits};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Open(String),
    Element(String),
    Close,
    Space(usize),
    Stray(usize),
    Failed(XmlError),
}

use Owned::{Close, Element, Failed, Open, Space, Stray};

fn next<'a, 'i: 'a>(
    framer: &'a mut Framer,
    input: &mut &'i [u8],
) -> Result<Option<Frame<'a>>, XmlError> {
    framer.next(input)
}

// The frames of an input that comes in these pieces, with neighbouring runs merged and the error, if any, at the end.
// `{restart}` in the input is where the framer is told that a new stream begins.
fn frames<'p>(limits: XmlLimits, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Owned> {
    let mut framer = Framer::new(limits);
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            let before = input.len();
            let frame = match next(&mut framer, &mut input) {
                Ok(None) => break,
                Ok(Some(frame)) => own(frame),
                Err(error) => {
                    assert_eq!(next(&mut framer, &mut &b"<a/>"[..]), Err(error.clone()));
                    assert_eq!(framer.buffered(), 0);
                    found.push(Failed(error));
                    return found;
                }
            };
            assert!(input.len() < before, "a frame that took nothing");
            let restart = matches!(&frame, Element(element) if element.starts_with("<auth"));
            match (found.last_mut(), frame) {
                (Some(Space(sum)), Space(more)) | (Some(Stray(sum)), Stray(more)) => *sum += more,
                (_, frame) => found.push(frame),
            }
            if restart {
                framer.restart();
            }
        }
        assert!(input.is_empty());
    }
    found
}

fn own(frame: Frame<'_>) -> Owned {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match frame {
        Frame::StreamOpen(tag) => Open(text(tag)),
        Frame::Element(element) => Element(text(element)),
        Frame::StreamClose => Close,
        Frame::Space(length) => Space(length),
        Frame::StrayText(length) => Stray(length),
    }
}

fn whole(input: &[u8]) -> Vec<Owned> {
    frames(XmlLimits::default(), [input])
}

// The frames are those of the whole input for pieces of every size.
fn every_cut(limits: XmlLimits, input: &[u8]) -> Vec<Owned> {
    let expected = frames(limits, [input]);
    for size in 1..input.len() {
        assert_eq!(
            frames(limits, input.chunks(size)),
            expected,
            "pieces of {size}"
        );
    }
    for at in 0..=input.len() {
        let (one, two) = input.split_at(at);
        assert_eq!(frames(limits, [one, two]), expected, "cut at {at}");
    }
    expected
}

const HEADER: &str = "<stream:stream to='a>b' xmlns:stream=\"it's/\">";

#[test]
fn a_nasty_stream_in_pieces_of_every_size() {
    let elements = [
        "<a/>",
        "<a b='/>'/>",
        "<a b = \">'/\" c='\"/>'>x</a>",
        "<m><gcm xmlns='google:mobile:data'>{\"a\":\"b > c\"}</gcm></m >",
        "<m><![CDATA[]]]]><![CDATA[></m><!--]] >]>]]]></m>",
        "<m><m><m/></m><m></m></m\n>",
        "<é ü='ß'>€</é>",
    ];
    let mut stream = format!("\u{feff}<?xml version='1.0' encoding=\"utf-8\"?>\r\n {HEADER}");
    let mut expected = vec![Open(HEADER.into())];
    for (number, element) in elements.into_iter().enumerate() {
        stream.push_str(element);
        stream.push_str(&" \n".repeat(number));
        expected.push(Element(element.into()));
        if number > 0 {
            expected.push(Space(2 * number));
        }
    }
    stream.push_str("\\n] ]> x<auth/>\n <?xml version='1.0'?><s>\n<a/></s >\r\n\n");
    expected.extend([Stray(3), Space(1), Stray(2), Space(1), Stray(1)]);
    expected.extend([Element("<auth/>".into()), Open("<s>".into()), Space(1)]);
    expected.extend([Element("<a/>".into()), Close, Space(3)]);
    assert_eq!(every_cut(XmlLimits::default(), stream.as_bytes()), expected);
}

#[test]
fn the_old_stream_may_end_in_place_of_a_new_header() {
    let read = |input: &str| every_cut(XmlLimits::default(), input.as_bytes());
    let begun = [Open("<s>".into()), Element("<auth/>".into())];
    let with = |last: [Owned; 1]| [&begun[..], &last].concat();
    assert_eq!(read("<s><auth/></s>"), with([Close]));
    assert_eq!(read("<s><auth/>\n</s\n>"), with([Close]));
    let other = Failed(NotWellFormed("an end tag that closes no element"));
    assert_eq!(read("<s><auth/></t>"), with([other]));
    let late = Failed(NotWellFormed("an end tag before the stream header"));
    assert_eq!(
        read("<s><auth/><?xml version='1.0'?></s>"),
        with([late.clone()])
    );
    assert_eq!(read("</s>"), [late]);
}

#[test]
fn refusals() {
    let control = || NotWellFormed("a control character");
    let instruction = || Restricted("a processing instruction");
    let comment = || Restricted("a comment or a document type");
    let early = || NotWellFormed("text before the stream header");
    let end = || NotWellFormed("an end tag that closes no element");
    let outside = || Restricted("a comment, a document type or a CDATA section");
    for (input, error) in [
        // Before the header.
        (&b"x"[..], early()),
        (b"\0", early()),
        (b"\xef\xbbx", early()),
        (b" \xef", early()),
        (b"\xef\xbb\xbf\xef", early()),
        (b"</", NotWellFormed("an end tag before the stream header")),
        (b"<!", outside()),
        (b"<?xml-", instruction()),
        (b"<?p", instruction()),
        (b" <?", instruction()),
        (b"<?xml version='1.0'?><?", instruction()),
        (b"<?xml version='1.0'?> <?", instruction()),
        (b"<?xml version='1.0'?><!", outside()),
        (
            b"<?xml version='1.0'x?>",
            NotWellFormed("the XML declaration"),
        ),
        (
            b"<?xml version='1.0'?x",
            NotWellFormed("the XML declaration"),
        ),
        (
            b"<?xml version='1.0'>",
            NotWellFormed("the XML declaration"),
        ),
        (b"<?xml \xc3", NotWellFormed("the XML declaration")),
        (b"<?xml version='1.0' encoding='x'?>", UnsupportedEncoding),
        (b"<s/>", NotWellFormed("the stream header closes itself")),
        (b"<1", NotWellFormed("a tag without a name")),
        (b"<s <", NotWellFormed("a tag inside a tag")),
        // Between elements.
        (b"<s><!", outside()),
        (b"<s><?", instruction()),
        (b"<s>&", Restricted("a reference between elements")),
        (b"<s>\0", control()),
        (b"<s>]]>", NotWellFormed("`]]>` in text")),
        (
            b"<s>\xef",
            NotWellFormed("text between elements that is not ASCII"),
        ),
        (b"<s></t>", end()),
        (b"<s></s:s>", end()),
        (b"<s></ ", NotWellFormed("an end tag without a name")),
        (b"<s></s a>", end()),
        (
            b"<s></s><",
            NotWellFormed("data after the end of the stream"),
        ),
        (
            b"<s></s>x",
            NotWellFormed("data after the end of the stream"),
        ),
        // In an element.
        (b"<s><a><!-", comment()),
        (b"<s><a><!D", comment()),
        (b"<s><a><![CDATX", comment()),
        (b"<s><a><?", instruction()),
        (b"<s><a>\x0b", control()),
        (b"<s><a\x01", control()),
        (b"<s><a b='\x1f", control()),
        (b"<s><a></a\0", control()),
        (b"<s><a><![CDATA[x\x02", control()),
        (b"<s><a><![CDATA[]\x02", control()),
        (b"<s><a b='<", NotWellFormed("`<` in an attribute value")),
        (b"<s><a/b", NotWellFormed("`/` inside a tag")),
        (
            b"<s><a></a b=",
            NotWellFormed("more than a name in an end tag"),
        ),
        (
            b"<s><a></a/",
            NotWellFormed("more than a name in an end tag"),
        ),
        (b"<s><a><>", NotWellFormed("a tag without a name")),
        (b"<s>< ", NotWellFormed("a tag without a name")),
    ] {
        let name = String::from_utf8_lossy(input);
        let found = every_cut(XmlLimits::default(), input);
        assert_eq!(found.last(), Some(&Failed(error)), "{name}");
        // It is the last byte that is refused.
        let before = whole(&input[..input.len() - 1]);
        assert!(
            !matches!(before.last(), Some(Failed(_))),
            "{name}: {before:?}"
        );
    }
}

#[test]
fn limits_on_the_byte() {
    let limits = XmlLimits {
        stanza: 40,
        depth: 3,
        name: 5,
        white_space: 40,
        ..XmlLimits::default()
    };
    let too_large = |what, limit| Some(Failed(TooLarge { what, limit }));
    let element = |length: usize| format!("<s><a>{}</a>", "x".repeat(length - 7));
    for length in [39, 40] {
        let found = every_cut(limits, element(length).as_bytes());
        assert!(matches!(&found[1], Element(whole) if whole.len() == length));
    }
    let bytes = "bytes of an element";
    let long = element(41);
    assert_eq!(
        every_cut(limits, long.as_bytes()).pop(),
        too_large(bytes, 40)
    );
    // The byte after the limit decides, also when the end of the element is nowhere near.
    let endless = format!("<s><a>{}", "x".repeat(100));
    assert_eq!(frames(limits, [&endless.as_bytes()[..43]]).len(), 1);
    assert_eq!(
        frames(limits, [&endless.as_bytes()[..44]]).pop(),
        too_large(bytes, 40)
    );
    // What is wrong beyond the limit is not looked for.
    assert_eq!(
        every_cut(limits, format!("{}\0", &endless[..43]).as_bytes()).pop(),
        too_large(bytes, 40)
    );

    let header = |length: usize| format!("<s a='{}'>", "x".repeat(length - 8));
    assert_eq!(every_cut(limits, header(40).as_bytes()), [Open(header(40))]);
    assert_eq!(
        every_cut(limits, header(41).as_bytes()).pop(),
        too_large(bytes, 40)
    );
    assert_eq!(every_cut(limits, b"<abcde>"), [Open("<abcde>".into())]);
    assert_eq!(
        every_cut(limits, b"<abcdef>").pop(),
        too_large("bytes of a name", 5)
    );

    assert_eq!(every_cut(limits, b"<s><a><a><a/><a></a></a></a>").len(), 2);
    let deep = too_large("elements inside one another", 3);
    assert_eq!(every_cut(limits, b"<s><a><a><a><a").pop(), deep);

    let spaces = |count: usize| format!("{}<s>", " ".repeat(count));
    let found = every_cut(limits, spaces(40).as_bytes());
    assert_eq!(found, [Open("<s>".into())]);
    let space = "bytes of white space before the stream header";
    assert_eq!(
        every_cut(limits, spaces(41).as_bytes()).pop(),
        too_large(space, 40)
    );

    let declaration =
        |length: usize| format!("<?xml version='1.0'{}?><s>", " ".repeat(length - 21));
    assert_eq!(whole(declaration(256).as_bytes()).len(), 1);
    let declarations = "bytes of an XML declaration";
    assert_eq!(
        whole(declaration(257).as_bytes()).pop(),
        too_large(declarations, 256)
    );
}

#[test]
fn holds_only_an_unfinished_tail_and_lets_it_go() {
    let mut framer = Framer::new(XmlLimits::default());
    let mut input = &b"<s><a/><b>x"[..];
    let all = input;
    assert_eq!(
        next(&mut framer, &mut input),
        Ok(Some(Frame::StreamOpen(b"<s>")))
    );
    assert!(!framer.is_mid_element());
    match next(&mut framer, &mut input) {
        Ok(Some(Frame::Element(element))) => assert!(std::ptr::eq(element, &raw const all[3..7])),
        other => panic!("{other:?}"),
    }
    assert_eq!(next(&mut framer, &mut input), Ok(None));
    assert_eq!(framer.buffered(), 4);
    assert!(framer.is_mid_element());
    let mut input = &b"y</b>"[..];
    assert_eq!(
        next(&mut framer, &mut input),
        Ok(Some(Frame::Element(b"<b>xy</b>")))
    );
    assert_eq!((framer.buffered(), framer.is_mid_element()), (0, false));
    assert_eq!(next(&mut framer, &mut input), Ok(None));
    assert_eq!(framer.memory(), 0);
}

#[test]
fn a_held_beginning_takes_no_more_memory_than_the_limit() {
    // The third read is too much for twice the first, and twice that again would be far above the limit.
    let limits = XmlLimits::default();
    let mut framer = Framer::new(limits);
    assert!(next(&mut framer, &mut &b"<s>"[..]).is_ok());
    let read = [b'x'; 20_000];
    assert_eq!(next(&mut framer, &mut &b"<a>"[..]), Ok(None));
    for _ in 0..3 {
        assert_eq!(next(&mut framer, &mut &read[..]), Ok(None));
        let held = framer.buffered()..=limits.stanza;
        assert!(held.contains(&framer.memory()), "{}", framer.memory());
    }
    assert_eq!(framer.buffered(), 3 + 3 * read.len());
}

// Pieces of markup in any order, which is likelier to reach every state than random bytes.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "<a>",
        "</a>",
        "<a/>",
        "<a b='",
        "'",
        "\"",
        ">",
        "<",
        "/",
        "<![CDATA[",
        "]",
        "]]>",
        "&lt;",
        "é",
        " ",
        "\n",
        "x",
        "{\"a\":1}",
        "<!--",
        "<?",
        "\0",
        "</s>",
        "<auth/>",
        "<?xml version='1.0'?>",
        "<s>",
        "\u{feff}",
    ];
    let part = (0..parts.len()).prop_map(move |index| parts[index]);
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn cuts_change_nothing(tail in soup(), bare in any::<bool>(), cuts in prop::collection::vec(1usize..9, 1..40)) {
        let mut input = if bare { Vec::new() } else { b"<?xml version='1.0'?><s>".to_vec() };
        input.extend_from_slice(&tail);
        let limits = XmlLimits { stanza: 60, depth: 3, ..XmlLimits::default() };
        let mut pieces = Vec::new();
        let mut rest = &input[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(frames(limits, pieces), frames(limits, [&input[..]]));
    }
}
