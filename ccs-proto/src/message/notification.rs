//! The part of a message that the system shows to a person (`docs/protocol.md` §3.2).

use serde_json::value::RawValue;

use super::json::{Object, push_string, read_string};
use crate::text::Text;

macro_rules! keys {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        /// What the system shows to a person. Which keys a platform takes is for the platform to say.
        ///
        /// ```
        /// use ccs_proto::message::{Downstream, Notification};
        ///
        /// let hello = Notification::new().title("Hello").body_loc_key("GREETING").body_loc_args(["Bob"]);
        /// let message = Downstream::to("DEVICE").notification(hello);
        /// # let _ = message;
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct Notification {
            $($name: Option<Text>,)+
            body_loc_args: Option<Vec<Text>>,
            title_loc_args: Option<Vec<Text>>,
        }

        impl Notification {
            /// Nothing to show.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name(mut self, value: impl Into<Text>) -> Self {
                    self.$name = Some(value.into());
                    self
                }
            )+

            /// The value of a key, other than the two lists.
            #[must_use]
            pub fn get(&self, key: &str) -> Option<&str> {
                match key {
                    $(stringify!($name) => self.$name.as_deref(),)+
                    _ => None,
                }
            }

            fn set(&mut self, key: &str, value: Text) {
                match key {
                    $(stringify!($name) => self.$name = Some(value),)+
                    // A key of a later version: tolerated, and there in the whole body.
                    _ => {}
                }
            }

            fn push_strings<B: bytes::BufMut>(&self, object: &mut Object<'_, B>) {
                $(if let Some(value) = &self.$name {
                    object.string(stringify!($name), value);
                })+
            }
        }
    };
}

keys! {
    /// The title.
    title,
    /// The text.
    body,
    /// The sound, by name, or `default`.
    sound,
    /// iOS: the number at the app's icon, as a string; `"0"` takes it away.
    badge,
    /// What happens on a click.
    click_action,
    /// iOS: the line below the title.
    subtitle,
    /// Key of the text in the app's own strings.
    body_loc_key,
    /// Key of the title in the app's own strings.
    title_loc_key,
    /// Android: the channel.
    android_channel_id,
    /// Android, web: the icon.
    icon,
    /// Android: replaces what is shown under the same tag.
    tag,
    /// Android: `#rrggbb`.
    color,
}

impl Notification {
    /// What goes into the places of the text behind `body_loc_key`. On the wire it is a JSON array inside a string.
    #[must_use]
    pub fn body_loc_args<T: Into<Text>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.body_loc_args = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// What goes into the places of the title behind `title_loc_key`. On the wire it is a JSON array inside a string.
    #[must_use]
    pub fn title_loc_args<T: Into<Text>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.title_loc_args = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// The values of `body_loc_args` or `title_loc_args`.
    #[must_use]
    pub fn list(&self, key: &str) -> Option<&[Text]> {
        match key {
            "body_loc_args" => self.body_loc_args.as_deref(),
            "title_loc_args" => self.title_loc_args.as_deref(),
            _ => None,
        }
    }

    /// The JSON object, which needs no XML reference.
    pub(super) fn to_json(&self) -> String {
        let mut json = Vec::new();
        let mut object = Object::open(&mut json);
        self.push_strings(&mut object);
        for key in ["body_loc_args", "title_loc_args"] {
            if let Some(values) = self.list(key) {
                object.string(key, &array(values));
            }
        }
        object.close();
        // Made of strings only.
        String::from_utf8(json).unwrap_or_default()
    }

    /// Reads the object; the error names what is wrong.
    pub(super) fn parse(json: &str) -> Result<Self, &'static str> {
        const NO_OBJECT: &str = "notification";
        let members: Members<'_> = serde_json::from_str(json).map_err(|_| NO_OBJECT)?;
        let mut notification = Self::new();
        for (key, value) in members.0 {
            let json = value.get();
            match key.as_str() {
                "body_loc_args" => notification.body_loc_args = list(json),
                "title_loc_args" => notification.title_loc_args = list(json),
                key => {
                    let value = read_string(json)
                        .map_or_else(|| Text::from(json), |text| Text::from(&*text));
                    notification.set(key, value);
                }
            }
        }
        Ok(notification)
    }
}

fn array(values: &[Text]) -> String {
    let mut json = vec![b'['];
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        push_string(&mut json, value);
    }
    json.push(b']');
    String::from_utf8(json).unwrap_or_default()
}

/// An array inside a string, as documented, or an array as such.
fn list(json: &str) -> Option<Vec<Text>> {
    let inner = read_string(json);
    let values: Vec<String> = serde_json::from_str(inner.as_deref().unwrap_or(json)).ok()?;
    Some(values.into_iter().map(Text::from).collect())
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        reader.deserialize_map(Visit)
    }
}
