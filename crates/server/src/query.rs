//! Query strings as text: names and values, decoded (the WHATWG URL standard's `application/x-www-form-urlencoded`).
//! Unlike browsers it refuses what cannot be decoded.

use dealwright::has_control;

use crate::problem::Problem;

/// The pairs of a query string.
///
/// # Errors
/// 400 for what is no percent-encoded UTF-8 or holds control characters.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let decoded = |text: &str| decode(text).filter(|text| !has_control(text));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| Problem::parameter("", "a parameter's name is not readable"))?;
            let value = decoded(value).ok_or_else(|| {
                Problem::parameter(&name, format!("the value of {name} is not percent-encoded UTF-8 text"))
            })?;
            Ok((name, value))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 1.1.1.
    #[test]
    fn a_query_string_is_decoded() {
        let found = pairs("q=a+b%26c&created_at%5Bgte%5D=x&flag").unwrap();
        let expected = [("q", "a b&c"), ("created_at[gte]", "x"), ("flag", "")];
        assert!(found.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{found:?}");
    }

    /// ASVS 1.1.1.
    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for query in ["q=%", "q=%zz", "q=%ff", "q=%00", "%00=1", "q=%0"] {
            assert_eq!(pairs(query).unwrap_err().code(), "invalid_parameter", "{query}");
        }
    }
}
