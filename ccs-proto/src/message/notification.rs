//! The part of a message that the system shows to a person (`docs/protocol.md` §3.2).

use serde_json::value::RawValue;
use thiserror::Error;

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
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
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

            /// Whether there is such a key.
            fn set(&mut self, key: &str, value: Text) -> bool {
                match key {
                    $(stringify!($name) => self.$name = Some(value),)+
                    _ => return false,
                }
                true
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

/// JSON that is no notification.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidNotification {
    /// It is no JSON object.
    #[error("a notification has to be a JSON object")]
    NoObject,
    /// No platform knows the key.
    #[error("a notification has no key {0:?}")]
    UnknownKey(String),
    /// The value should be an array of strings, as such or written into a string.
    #[error("{0:?} has to be an array of strings")]
    NoList(&'static str),
}

impl Notification {
    /// Reads a JSON object. What comes from the wire may have keys of a later version; here a key that is not known is
    /// a mistake.
    ///
    /// # Errors
    /// It is no object, has a key that is not known, or a list that is none.
    ///
    /// ```
    /// use ccs_proto::message::Notification;
    ///
    /// let hello = Notification::from_json(r#"{"title":"Hello"}"#)?;
    /// assert_eq!(hello.get("title"), Some("Hello"));
    /// assert!(Notification::from_json(r#"{"titel":"Hello"}"#).is_err());
    /// # Ok::<(), ccs_proto::message::InvalidNotification>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Self, InvalidNotification> {
        Self::read(json, &mut Err)
    }

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

    /// Reads the object as it comes from the wire; the error names what is wrong.
    pub(super) fn parse(json: &str) -> Result<Self, &'static str> {
        // A key of a later version is there in the whole body.
        Self::read(json, &mut |_| Ok(())).map_err(|_| "notification")
    }

    /// Reads the object; `wrong` says what to do about a member that means nothing.
    fn read(
        json: &str,
        wrong: &mut dyn FnMut(InvalidNotification) -> Result<(), InvalidNotification>,
    ) -> Result<Self, InvalidNotification> {
        let members: Members<'_> =
            serde_json::from_str(json).map_err(|_| InvalidNotification::NoObject)?;
        let mut notification = Self::new();
        for (key, value) in members.0 {
            let json = value.get();
            match key.as_str() {
                "body_loc_args" => match list(json) {
                    Some(values) => notification.body_loc_args = Some(values),
                    None => wrong(InvalidNotification::NoList("body_loc_args"))?,
                },
                "title_loc_args" => match list(json) {
                    Some(values) => notification.title_loc_args = Some(values),
                    None => wrong(InvalidNotification::NoList("title_loc_args"))?,
                },
                key => {
                    let value = read_string(json)
                        .map_or_else(|| Text::from(json), |text| Text::from(&*text));
                    if !notification.set(key, value) {
                        wrong(InvalidNotification::UnknownKey(key.to_owned()))?;
                    }
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
