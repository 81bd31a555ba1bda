use super::*;

#[test]
fn values_that_are_no_strings_read_as_their_json_text() {
    let json = r#"{"node-xcs":true,"n":1.50,"o":{"a":"\u00e9"},"s":"\u00e9","z":null}"#;
    let data = Data::from_json(json).unwrap();
    assert_eq!(data.as_json(), json);
    assert_eq!(data.get("node-xcs").as_deref(), Some("true"));
    assert_eq!(data.get("n").as_deref(), Some("1.50"));
    assert_eq!(data.get("o").as_deref(), Some(r#"{"a":"\u00e9"}"#));
    assert_eq!(data.get("s").as_deref(), Some("\u{e9}"));
    assert_eq!(data.get("missing"), None);
    assert_eq!(
        data.size(),
        (8 + 4) + (1 + 4) + (1 + 14) + (1 + 2) + (1 + 4)
    );
}

#[test]
fn a_payload_counts_the_same_however_it_came() {
    for json in [
        r#"{}"#,
        r#"{"a":"1","\u0062":"\u00e9<\n"}"#,
        r#"{"a":1.50,"b":[{"<":"&"}, "\u0001"],"c":null}"#,
        r#"{"\ud800":"\ud800<"}"#,
        "{\r\n\"a\" : \"1\"\t}",
        r#"{"from":"1"}"#,
    ] {
        let data = Data::from_json(json).unwrap();
        let received = Data::from_part(data.as_json().into());
        assert_eq!(data.size(), received.size(), "{json}");
        let more = (data.with("k", "v<"), received.with("k", "v<"));
        assert_eq!(more.0.size(), more.1.size(), "{json}");
    }
    let listed: Data = [("a", "1<"), ("b", "")].into_iter().collect();
    assert_eq!(listed.size(), 4);
}

#[test]
fn only_an_object_is_a_payload() {
    for json in ["", "[]", "1", "\"a\"", "{", "{} {}", "null"] {
        assert!(Data::from_json(json).is_err(), "{json}");
    }
    assert_eq!(Data::from_json(" { } ").unwrap().as_json(), "{ }");
    assert_eq!(
        Data::from_json("{ }\n").unwrap().with("a", "b").as_json(),
        r#"{ "a":"b"}"#
    );
}

#[test]
fn a_payload_is_built_pair_by_pair_or_at_once() {
    let one_by_one = Data::new().with("a", "1").with("b", "\u{0}]]>");
    let at_once: Data = [("a", "1"), ("b", "\u{0}]]>")].into_iter().collect();
    assert_eq!(one_by_one, at_once);
    assert_eq!(at_once.as_json(), r#"{"a":"1","b":"\u0000]]\u003e"}"#);
    let map: std::collections::BTreeMap<String, String> = at_once.to().unwrap();
    assert_eq!(map.get("b").unwrap(), "\u{0}]]>");
    assert_eq!(Data::from_serialize(&map).unwrap(), at_once);
}

#[test]
fn what_came_as_it_is_goes_out_as_xml_wants_it() {
    let received = Data::from_part(r#"{"a":"<&>"}"#.into());
    let escaped = r#"{"a":"\u003c\u0026\u003e"}"#;
    assert_eq!(received.for_wire(), escaped);
    assert_eq!(Data::new().with("a", "<&>").for_wire(), escaped);
    assert_eq!(
        received.with("b", "<").for_wire(),
        r#"{"a":"\u003c\u0026\u003e","b":"\u003c"}"#
    );
}

#[test]
fn a_reserved_key_is_found_however_it_is_written() {
    for key in ["from", "message_type", "google", "google.x", "gcm", "gcmx"] {
        let escapes = key.char_indices().map(|(at, letter)| {
            let rest = &key[at + 1..];
            format!("{}\\u{:04X}{rest}", &key[..at], u32::from(letter))
        });
        for written in escapes.chain([key.to_owned()]) {
            let data = Data::from_part(format!(r#"{{"{written}":1}}"#).into());
            assert_eq!(data.reserved_key().as_deref(), Some(key), "{written}");
        }
    }
    let free = r#"{"form":"from","a":"message_type \u0066","k":{"gcm":1},"n":null}"#;
    assert_eq!(Data::from_part(free.into()).reserved_key(), None);
}
