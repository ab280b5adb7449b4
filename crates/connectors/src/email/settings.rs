//! What a person enters to connect a mailbox, typed and checked. Wrong members are all named at once, each by its
//! pointer. Passwords are never printed.

use std::fmt;

use dealwright::error::{Error, FieldError, Result};
use rustls::pki_types::ServerName;
use serde_json::{Map, Value, json};

use super::address;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// TLS from the first byte (RFC 8314, 3).
    Tls,
    /// TLS after a `STARTTLS` command.
    StartTls,
    /// Not at all; only where the operator allows it.
    None,
}

impl Security {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }
}

/// One server and how to sign in there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.security.as_str())
    }
}

impl Server {
    fn to_value(&self) -> Value {
        json!({
            "host": self.host, "port": self.port, "security": self.security.as_str(),
            "username": self.username, "password": self.password,
        })
    }
}

/// One mailbox: its address, where it receives and where it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) email: String,
    pub(crate) display_name: Option<String>,
    pub(crate) imap: Server,
    pub(crate) smtp: Server,
}

impl Settings {
    /// Reads `settings`; `allow_plaintext` says whether `security: none` counts.
    pub(crate) fn parse(settings: &Map<String, Value>, allow_plaintext: bool) -> Result<Self> {
        let mut errors = Vec::new();
        let mut root = Reader::new(settings, "", &mut errors);
        root.only(&["platform", "email", "display_name", "imap", "smtp"]);
        if root.optional("platform", MAX_NAME).is_some_and(|platform| platform != super::PLATFORM) {
            root.wrong("platform", "invalid", "this connector's platform is \"email\"");
        }
        let email = root.required("email", MAX_NAME).and_then(|text| {
            let address = address::normalize(&text);
            if address.is_none() {
                root.wrong("email", "invalid", format!("{text:?} is not an e-mail address; write it as name@example.com, an international domain in its xn-- form"));
            }
            address
        });
        let display_name =
            root.optional("display_name", MAX_NAME).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let imap = server(settings, "imap", allow_plaintext, &mut errors);
        let smtp = server(settings, "smtp", allow_plaintext, &mut errors);
        match (email, imap, smtp) {
            (Some(email), Some(imap), Some(smtp)) if errors.is_empty() => Ok(Self { email, display_name, imap, smtp }),
            _ => Err(Error::invalid_fields(errors)),
        }
    }

    /// Reads what [`to_value`](Self::to_value) wrote.
    pub(crate) fn from_credentials(credentials: &Value, allow_plaintext: bool) -> Result<Self> {
        let members = credentials
            .as_object()
            .ok_or_else(|| Error::internal("stored e-mail credentials are not an object; connect the account again"))?;
        Self::parse(members, allow_plaintext)
    }

    /// The form in which the settings are kept (sealed).
    pub(crate) fn to_value(&self) -> Value {
        json!({"email": self.email, "display_name": self.display_name, "imap": self.imap.to_value(), "smtp": self.smtp.to_value()})
    }
}

/// Names are at most 200 characters (as everywhere); addresses at most 254.
const MAX_NAME: usize = 254;
const MAX_PASSWORD: usize = 1024;

fn server(
    settings: &Map<String, Value>,
    name: &str,
    allow_plaintext: bool,
    errors: &mut Vec<FieldError>,
) -> Option<Server> {
    let members = match settings.get(name) {
        Some(Value::Object(members)) => members,
        Some(_) => {
            errors.push(wrong(
                format!("/{name}"),
                "invalid",
                "an object with host, port, security, username and password is expected",
            ));
            return None;
        }
        None => {
            errors.push(wrong(
                format!("/{name}"),
                "required",
                "say where the mailbox is: host, port, security, username and password",
            ));
            return None;
        }
    };
    let prefix = format!("/{name}");
    let mut reader = Reader::new(members, &prefix, errors);
    reader.only(&["host", "port", "security", "username", "password"]);
    let host = reader.required("host", 253).and_then(|host| {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        if ServerName::try_from(host.as_str()).is_err() {
            reader.wrong(
                "host",
                "invalid",
                format!("{host:?} is not a host name; write it as imap.example.com or as an IP address"),
            );
            return None;
        }
        Some(host)
    });
    let port = reader.port();
    let security = reader.security(allow_plaintext);
    let username = reader.required("username", MAX_NAME);
    let password = reader.required("password", MAX_PASSWORD);
    Some(Server { host: host?, port: port?, security: security?, username: username?, password: password? })
}

fn wrong(pointer: String, code: &'static str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer, code: code.into(), detail: detail.into() }
}

/// Reads members of one object and collects what is wrong with them.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    prefix: &'a str,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn new(members: &'a Map<String, Value>, prefix: &'a str, errors: &'a mut Vec<FieldError>) -> Self {
        Self { members, prefix, errors }
    }

    fn wrong(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let name = name.replace('~', "~0").replace('/', "~1");
        self.errors.push(wrong(format!("{}/{name}", self.prefix), code, detail));
    }

    fn only(&mut self, known: &[&str]) {
        let unknown: Vec<&str> = self.members.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        for name in unknown {
            self.wrong(name, "unknown", format!("no such member; known are {}", known.join(", ")));
        }
    }

    fn required(&mut self, name: &str, max: usize) -> Option<String> {
        match self.members.get(name) {
            None | Some(Value::Null) => {
                self.wrong(name, "required", "is missing");
                None
            }
            Some(Value::String(text)) if text.is_empty() => {
                self.wrong(name, "required", "is empty");
                None
            }
            Some(_) => self.text(name, max),
        }
    }

    fn optional(&mut self, name: &str, max: usize) -> Option<String> {
        match self.members.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => self.text(name, max),
        }
    }

    /// No control characters anywhere: a line break in a name would be a second header or command.
    fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let Some(Value::String(text)) = self.members.get(name) else {
            self.wrong(name, "invalid", "a text is expected");
            return None;
        };
        if text.chars().any(char::is_control) {
            self.wrong(name, "invalid", "contains a line break or another control character; remove it");
            return None;
        }
        if text.chars().count() > max {
            self.wrong(name, "too_long", format!("is longer than {max} characters"));
            return None;
        }
        Some(text.clone())
    }

    fn port(&mut self) -> Option<u16> {
        let port = self.members.get("port").filter(|value| !value.is_null());
        let number = port.and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        if number.is_none() {
            let code = if port.is_some() { "invalid" } else { "required" };
            self.wrong(
                "port",
                code,
                "a port number from 1 to 65535 is expected (usually 993 or 143 for IMAP, 465 or 587 for SMTP)",
            );
        }
        number
    }

    fn security(&mut self, allow_plaintext: bool) -> Option<Security> {
        match self.required("security", MAX_NAME)?.as_str() {
            "tls" => Some(Security::Tls),
            "starttls" => Some(Security::StartTls),
            "none" if allow_plaintext => Some(Security::None),
            "none" => {
                self.wrong(
                    "security",
                    "forbidden",
                    "connections without TLS are not allowed here; choose tls or starttls",
                );
                None
            }
            other => {
                let detail = format!("{other:?} is none of tls, starttls, none");
                self.wrong("security", "invalid", detail);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Value {
        json!({
            "platform": "email", "email": "Ada@Example.test", "display_name": "Ada Lovelace",
            "imap": {"host": "imap.example.test", "port": 993, "security": "tls", "username": "ada", "password": " s p "},
            "smtp": {"host": "127.0.0.1", "port": 587, "security": "starttls", "username": "ada", "password": "pw"},
        })
    }

    fn parse(value: &Value) -> Result<Settings> {
        Settings::parse(value.as_object().unwrap(), false)
    }

    fn pointers(value: &Value) -> Vec<String> {
        parse(value).unwrap_err().fields().iter().map(|f| format!("{} {}", f.pointer, f.code)).collect()
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut settings = valid();
        *settings.pointer_mut(pointer).unwrap() = value;
        settings
    }

    #[test]
    fn valid_settings_survive_storage() {
        let settings = parse(&valid()).unwrap();
        assert_eq!(settings.email, "ada@example.test");
        assert_eq!(settings.imap.password, " s p ", "a password is not trimmed");
        assert_eq!(Settings::from_credentials(&settings.to_value(), false).unwrap(), settings);
    }

    #[test]
    fn every_wrong_member_is_named() {
        let settings = json!({"email": "ada", "imap": {"host": "a b", "port": 0, "security": "ssl", "username": "u"}, "colour": 1});
        assert_eq!(
            pointers(&settings),
            [
                "/colour unknown",
                "/email invalid",
                "/imap/host invalid",
                "/imap/port invalid",
                "/imap/security invalid",
                "/imap/password required",
                "/smtp required"
            ]
        );
    }

    #[test]
    fn unknown_members_are_refused_where_they_stand() {
        let mut settings = valid();
        settings["imap"]["proxy/~"] = json!("x");
        assert_eq!(pointers(&settings), ["/imap/proxy~1~0 unknown"]);
    }

    /// ASVS 1.3.11.
    #[test]
    fn line_breaks_are_refused_everywhere() {
        for pointer in ["/email", "/display_name", "/imap/host", "/imap/username", "/imap/password", "/smtp/username"] {
            let text = format!("{}\r\nX: y", valid().pointer(pointer).unwrap().as_str().unwrap());
            assert_eq!(pointers(&with(pointer, json!(text))), [format!("{pointer} invalid")]);
        }
    }

    /// ASVS 12.3.1.
    #[test]
    fn plaintext_needs_the_operators_consent() {
        let settings = with("/smtp/security", json!("none"));
        assert_eq!(pointers(&settings), ["/smtp/security forbidden"]);
        assert!(Settings::parse(settings.as_object().unwrap(), true).is_ok());
    }

    #[test]
    fn another_platform_and_other_types_are_refused() {
        assert_eq!(pointers(&with("/platform", json!("telegram"))), ["/platform invalid"]);
        assert_eq!(pointers(&with("/imap", json!("imap.example.test"))), ["/imap invalid"]);
        assert_eq!(pointers(&with("/smtp/port", json!("587"))), ["/smtp/port invalid"]);
        assert_eq!(pointers(&with("/smtp/port", json!(65_536))), ["/smtp/port invalid"]);
        assert_eq!(pointers(&with("/smtp/password", json!(5))), ["/smtp/password invalid"]);
    }

    /// ASVS 16.2.5.
    #[test]
    fn passwords_are_not_printed() {
        assert!(!format!("{:?}", parse(&valid()).unwrap()).contains("pw"));
    }
}
