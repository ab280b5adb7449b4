//! Reading an input from JSON: what is missing, unknown or of the wrong type is named by its pointer.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads an input from JSON.
///
/// # Errors
/// `validation_failed` with a pointer to the member that is missing, unknown or of the wrong type.
pub fn read_input<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                serde_path_to_error::Segment::Map { key } => pointer.push_str(&step_of(key)),
                _ => {}
            }
        }
        let text = error.inner().to_string();
        // serde names the member of these two in the text alone.
        let named = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(str::to_owned);
        let (code, member) = if let Some(member) = named("missing field `") {
            ("required", Some(member))
        } else if let Some(member) = named("unknown field `") {
            ("unknown", Some(member))
        } else {
            ("invalid", None)
        };
        if let Some(member) = member
            && !pointer.ends_with(&format!("/{member}"))
        {
            pointer.push_str(&format!("/{member}"));
        }
        Error::invalid(pointer, code, text)
    })
}

/// A member's step of a JSON pointer (RFC 6901).
fn step_of(member: &str) -> String {
    format!("/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// Whether a text holds a character that no field of ours can mean: C0 and C1 but for tab and line ends.
pub fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// Refuses control characters in every text of a JSON value; what `but` points to is passed over.
///
/// # Errors
/// `validation_failed` with a pointer to the first text that holds one.
pub fn refuse_control(value: &Value, but: Option<&str>) -> Result<()> {
    fn walk(value: &Value, at: &mut String, but: Option<&str>) -> Result<()> {
        let step = |name: &str, value: &Value, at: &mut String| {
            let length = at.len();
            at.push_str(&step_of(name));
            let answer = if but == Some(at.as_str()) { Ok(()) } else { walk(value, at, but) };
            at.truncate(length);
            answer
        };
        let invalid = |at: &str, detail: &str| Err(Error::invalid(at, "invalid", detail));
        match value {
            Value::String(text) if has_control(text) => {
                invalid(at, "control characters other than tab and line ends are not accepted: remove them")
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| step(&i.to_string(), item, at)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                if has_control(name) {
                    invalid(at, "a member's name has control characters")
                } else {
                    step(name, member, at)
                }
            }),
            _ => Ok(()),
        }
    }
    walk(value, &mut String::new(), but)
}

/// A JSON value of which only objects are read as structures. serde reads a list as a structure too, member by member in
/// the order of their declaration: no caller means that, and no schema tells it.
struct Strict(Value);

impl<'de> Deserializer<'de> for Strict {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Strict));
                let read = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(read)
            }
            Value::Object(members) => {
                visitor.visit_map(MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Strict(value)))))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(_) => Err(Self::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    // Some visitors take `null` for an empty map where they are offered it.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => other.deserialize_map(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(_) => self.deserialize_any(visitor),
            other => other.deserialize_seq(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
