//! Settings as text: flags before variables before the file before defaults. Knows nothing of what they mean.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};

use super::settings::{SETTINGS, Setting};

/// Settings by name, as text; switches that are on hold `true`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<&'static str, Vec<String>>);

/// What the program shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Serve.
    Serve,
    /// Bring a PostgreSQL database up to date as its owner.
    Migrate {
        /// The role that the server signs in with.
        app_role: String,
    },
    /// Look at everything that must be true.
    Doctor,
    /// Put newer keys in the place of those that secrets lie under.
    RotateKeys {
        /// Data keys too, and not only what wraps them.
        data: bool,
    },
    /// Walk the audit logs along their seals.
    AuditVerify {
        /// That of one organisation alone.
        organization: Option<String>,
    },
}

/// The command line.
pub fn command() -> Command {
    let mut command = Command::new("dealwright-server")
        .about("The Dealwright CRM as a server. Without any setting it keeps everything in ./dealwright-data.")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand(Command::new("serve").about("Serve (what is done without a command)"))
        .subcommand(
            Command::new("migrate").about("Bring a PostgreSQL database up to date: --database is its owner's URL").arg(
                Arg::new("app_role")
                    .long("app-role")
                    .value_name("ROLE")
                    .required(true)
                    .help("The role that the server signs in with; gets what it needs, and no more"),
            ),
        )
        .subcommand(Command::new("doctor").about("Look at database and files, and say what is wrong"))
        .subcommand(
            Command::new("rotate-keys")
                .about(
                    "Wrap the keys of secrets by the newest line of the key file, while servers go on; docs/secrets.md \
                     says how",
                )
                .arg(
                    Arg::new("data")
                        .long("data")
                        .action(ArgAction::SetTrue)
                        .help("Replace the data keys too, and seal every secret anew"),
                ),
        )
        .subcommand(
            Command::new("audit-verify")
                .about(
                    "Say how far each audit log is sealed and sound, and name the first entry that was tampered with",
                )
                .arg(
                    Arg::new("organization")
                        .long("organization")
                        .value_name("ID")
                        .help("That of one organisation alone"),
                ),
        );
    for it in SETTINGS {
        let default = it.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let help = format!("{}{default} [variable: {}]", it.about, it.variable());
        let arg = Arg::new(it.name).long(it.flag()).global(true).help(help);
        command = command.arg(match it.value {
            Some(value) if it.many => arg.value_name(value).action(ArgAction::Append),
            Some(value) => arg.value_name(value).action(ArgAction::Set),
            None => arg.action(ArgAction::SetTrue),
        });
    }
    command
}

/// Reads everything.
///
/// # Errors
/// For what is no setting, and for a file that cannot be read. Wrong flags end the program with clap's own words.
pub fn read(arguments: Vec<OsString>, variable: impl Fn(&str) -> Option<String>) -> Result<(Task, Texts)> {
    let matches = command().get_matches_from(arguments);
    let (task, matches) = match matches.subcommand() {
        Some(("migrate", sub)) => {
            let app_role = sub.get_one::<String>("app_role").cloned().unwrap_or_default();
            (Task::Migrate { app_role }, sub)
        }
        Some(("doctor", sub)) => (Task::Doctor, sub),
        Some(("audit-verify", sub)) => {
            (Task::AuditVerify { organization: sub.get_one::<String>("organization").cloned() }, sub)
        }
        Some(("rotate-keys", sub)) => (Task::RotateKeys { data: sub.get_flag("data") }, sub),
        Some((_, sub)) => (Task::Serve, sub),
        None => (Task::Serve, &matches),
    };
    let mut texts = BTreeMap::new();
    for it in SETTINGS {
        if let Some(given) = given(matches, it).or_else(|| from_variable(it, &variable)) {
            texts.insert(it.name, given);
        }
    }
    if let Some([file]) = texts.get("config").map(Vec::as_slice) {
        let in_file = read_file(Path::new(file))?;
        for (name, given) in in_file {
            texts.entry(name).or_insert(given);
        }
    }
    for it in SETTINGS {
        if let Some(default) = it.default {
            texts.entry(it.name).or_insert_with(|| vec![default.to_owned()]);
        }
    }
    Ok((task, Texts(texts)))
}

fn given(matches: &ArgMatches, it: &Setting) -> Option<Vec<String>> {
    if matches.value_source(it.name) != Some(ValueSource::CommandLine) {
        return None;
    }
    if it.value.is_none() {
        return Some(vec![matches.get_flag(it.name).to_string()]);
    }
    matches.get_many::<String>(it.name).map(|all| all.cloned().collect())
}

fn from_variable(it: &Setting, variable: &impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let text = variable(&it.variable()).filter(|text| !text.is_empty())?;
    if it.many {
        return Some(text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect());
    }
    Some(vec![text])
}

fn read_file(path: &Path) -> Result<Vec<(&'static str, Vec<String>)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    table
        .into_iter()
        .map(|(name, value)| {
            let Some(it) = SETTINGS.iter().find(|it| it.name == name && name != "config") else {
                let known =
                    SETTINGS.iter().map(|it| it.name).filter(|it| *it != "config").collect::<Vec<_>>().join(", ");
                bail!("{}: {name} is no setting; known: {known}", path.display());
            };
            let text = |value: toml::Value| match value {
                toml::Value::String(text) => Ok(text),
                toml::Value::Integer(number) => Ok(number.to_string()),
                toml::Value::Boolean(yes) => Ok(yes.to_string()),
                other => bail!("{}: {name} is {other}: a text is expected", path.display()),
            };
            let given = match value {
                toml::Value::Array(items) if it.many => items.into_iter().map(text).collect::<Result<_>>()?,
                other => vec![text(other)?],
            };
            Ok((it.name, given))
        })
        .collect()
}

impl Texts {
    /// The values of a setting that may be given several times.
    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The value of a setting.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// Whether a switch is on.
    ///
    /// # Errors
    /// If its value is neither `true` nor `false`.
    pub fn on(&self, name: &str) -> Result<bool> {
        match self.one(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => bail!("{name} is {other:?}: true or false is expected"),
        }
    }

    /// The value of a setting, read as something.
    ///
    /// # Errors
    /// If it is not set or cannot be read.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<T> {
        let text = self.one(name).with_context(|| format!("{name} is not set"))?;
        text.parse().ok().with_context(|| format!("{name} is {text:?}: {expected} is expected"))
    }
}
