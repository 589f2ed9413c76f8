//! `sketch query`

use std::path::PathBuf;

use anyhow::{Result, bail};
use septet_sketch::stream::StreamFormat;
use septet_sketch::{AnyKey, KeyType};
use serde_json::json;

use crate::Usage;
use crate::any_sketch::{Answer, Opened, Reading};
use crate::input::{self, Input};
use crate::output::{number, print_json, print_table};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    /// Keys: text, integers, or flows such as "10.1.2.3:4567 > 192.168.0.1:443 6".
    keys: Vec<String>,
    /// Ask for all keys of a stream.
    #[arg(long, value_name = "STREAM", conflicts_with = "keys")]
    keys_from: Option<PathBuf>,
    /// The format of the stream of keys.
    #[arg(long, short, value_parser = input::parse_format, requires = "keys_from")]
    format: Option<StreamFormat>,
    #[command(flatten)]
    keys_are: KeysAre,
    #[command(flatten)]
    reading: Reading,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// The type of keys, for files that do not say it.
#[derive(clap::Args)]
pub(crate) struct KeysAre {
    /// What the keys are, where the sketch does not say it.
    #[arg(long, value_enum)]
    keys_are: Option<KeyName>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KeyName {
    Integers,
    Text,
    Flows,
}

impl KeysAre {
    /// The type that is asked for, or that the sketch was built with.
    pub(crate) fn of(&self, opened: &Opened) -> Result<KeyType> {
        let asked = self.keys_are.map(|name| match name {
            KeyName::Integers => KeyType::Integer,
            KeyName::Text => KeyType::Bytes,
            KeyName::Flows => KeyType::Flow,
        });
        match (asked, opened.keys) {
            (Some(asked), Some(stored)) if asked != stored => {
                bail!("the sketch counted {stored}, not {asked}")
            }
            (Some(keys), _) | (None, Some(keys)) => Ok(keys),
            (None, None) => Err(Usage(
                "the sketch does not say what its keys are; say --keys-are integers, text or flows"
                    .to_owned(),
            )
            .into()),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.reading.open(&arguments.sketch)?;
    let keys: Vec<AnyKey> = match &arguments.keys_from {
        Some(path) => {
            let mut keys = Vec::new();
            let input = Input {
                streams: vec![path.clone()],
                format: arguments.format.clone(),
            };
            input.for_each("reading keys", |record| {
                keys.push(record.key);
                Ok(())
            })?;
            keys
        }
        None if arguments.keys.is_empty() => {
            let message = "no keys to ask for; name some, or a stream with --keys-from";
            return Err(Usage(message.to_owned()).into());
        }
        None => {
            let key_type = arguments.keys_are.of(&opened)?;
            let parse = |text: &String| AnyKey::parse(key_type, text);
            arguments.keys.iter().map(parse).collect::<Result<_, _>>()?
        }
    };
    let answers: Vec<Answer> = keys
        .iter()
        .map(|key| opened.sketch.answer(key))
        .collect::<Result<_>>()?;
    if arguments.json {
        let rows = keys.iter().zip(&answers).map(|(key, answer)| {
            json!({
                "key": key.to_string(),
                "estimate": answer.estimate,
                "low": answer.bounds.map(|bounds| bounds.0),
                "high": answer.bounds.map(|bounds| bounds.1),
                "exact": answer.exact,
            })
        });
        return print_json(&rows.collect());
    }
    let rows: Vec<Vec<String>> = keys
        .iter()
        .zip(&answers)
        .map(|(key, answer)| {
            let range = match (answer.exact, answer.bounds) {
                (true, _) => "exact".to_owned(),
                (false, Some((low, high))) => format!("{} to {}", number(low), number(high)),
                (false, None) => String::new(),
            };
            vec![number(answer.estimate), range, key.to_string()]
        })
        .collect();
    print_table(&["estimate", "probably", "key"], &rows)
}
