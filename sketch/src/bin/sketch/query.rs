//! `sketch query`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::Failure;
use septet_sketch::stream::StreamFormat;
use septet_sketch::{AnyKey, KeyType};
use serde_json::json;

use crate::input::{self, Input};
use crate::key_estimate::KeyEstimate;
use crate::open::{OpenOptions, Opened};
use crate::output::{number, print_json, print_table};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    /// Keys: text, integers, or flows such as "10.1.2.3:4567 > 192.168.0.1:443 6".
    keys: Vec<String>,
    /// Query all keys of a stream.
    #[arg(long, value_name = "STREAM", conflicts_with = "keys")]
    keys_from: Option<PathBuf>,
    /// The format of the stream of keys.
    #[arg(long, short, value_parser = input::parse_format, requires = "keys_from")]
    format: Option<StreamFormat>,
    #[command(flatten)]
    key_type: KeyTypeArgument,
    #[command(flatten)]
    open: OpenOptions,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// The type of the keys of a query.
#[derive(clap::Args)]
struct KeyTypeArgument {
    /// The type of the keys, if the sketch does not specify it.
    #[arg(long, value_enum)]
    key_type: Option<KeyTypeName>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KeyTypeName {
    Integers,
    Text,
    Flows,
}

impl KeyTypeArgument {
    /// The requested type, or the one with which the sketch was built.
    fn of(&self, opened: &Opened) -> Result<KeyType> {
        let requested = self.key_type.map(|name| match name {
            KeyTypeName::Integers => KeyType::Integer,
            KeyTypeName::Text => KeyType::Bytes,
            KeyTypeName::Flows => KeyType::Flow,
        });
        match (requested, opened.key_type) {
            (Some(requested), Some(stored)) if requested != stored => {
                let message = format!("the sketch has counted {stored}, not {requested}");
                Err(Failure::usage(message).into())
            }
            (Some(keys), _) | (None, Some(keys)) => Ok(keys),
            (None, None) => {
                let message = "the sketch does not specify the type of its keys; set it with \
                               --key-type integers, text or flows";
                Err(Failure::usage(message).into())
            }
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.open.open(&arguments.sketch)?;
    // Keys of a stream have a type; keys on the command line are text to be parsed.
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
            let message = "no keys to query; name some, or a stream with --keys-from";
            return Err(Failure::usage(message).into());
        }
        None => {
            let key_type = arguments.key_type.of(&opened)?;
            let parse = |text: &String| AnyKey::parse(key_type, text);
            arguments.keys.iter().map(parse).collect::<Result<_, _>>()?
        }
    };
    let estimates: Vec<KeyEstimate> = keys
        .iter()
        .map(|key| opened.sketch.query(key))
        .collect::<Result<_>>()?;
    if arguments.json {
        let rows = keys.iter().zip(&estimates).map(|(key, estimate)| {
            json!({
                "key": key.to_string(),
                "estimate": estimate.estimate,
                "lower": estimate.bounds.map(|bounds| bounds.0),
                "upper": estimate.bounds.map(|bounds| bounds.1),
                "exact": estimate.exact,
            })
        });
        return print_json(&rows.collect());
    }
    let rows: Vec<Vec<String>> = keys
        .iter()
        .zip(&estimates)
        .map(|(key, estimate)| {
            let range = match (estimate.exact, estimate.bounds) {
                (true, _) => "exact".to_owned(),
                (false, Some((low, high))) => format!("{} to {}", number(low), number(high)),
                (false, None) => String::new(),
            };
            vec![number(estimate.estimate), range, key.to_string()]
        })
        .collect();
    print_table(&["estimate", "interval", "key"], &rows)
}
