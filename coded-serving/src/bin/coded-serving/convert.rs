//! `convert`: exports networks to ONNX, so that any inference server can be a worker.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use prost::Message;

use septet_coded_serving::network::{Array, Tensors};
use septet_core::io::{WholeFile, is_stdio};

#[derive(Args)]
pub(crate) struct Arguments {
    /// A network in a safetensors file, as written by `train`
    from: PathBuf,
    /// The ONNX model to write; - is standard output
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tensors = Tensors::read(&arguments.from)?;
    let graph = graph(&tensors)
        .with_context(|| format!("{} cannot be converted", arguments.from.display()))?;
    let nodes = graph.node.len();
    let model = Model {
        // IR version 8 with opset 13 is read by every current runtime.
        ir_version: 8,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: 13,
        }],
    };
    let written = WholeFile::create_or_stdout(&arguments.to).and_then(|mut file| {
        file.write_all(&model.encode_to_vec())?;
        file.finish()
    });
    written.with_context(|| format!("{} cannot be written", arguments.to.display()))?;
    if !is_stdio(&arguments.to) {
        println!("{}: {nodes} operations", arguments.to.display());
    }
    Ok(())
}

/// A graph under construction.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    constants: Vec<TensorProto>,
    names: usize,
}

impl Builder {
    /// A fresh name for an intermediate value.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// Adds an array as an initializer.
    fn constant(&mut self, name: &str, array: &Array) -> String {
        self.constants.push(TensorProto {
            dims: array.shape.iter().map(|&n| n as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: array.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name.to_owned()
    }

    /// Adds indices as an initializer.
    fn indices(&mut self, name: &str, indices: &[i64]) -> String {
        self.constants.push(TensorProto {
            dims: vec![indices.len() as i64],
            data_type: INT64,
            name: name.to_owned(),
            raw_data: indices.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name.to_owned()
    }

    /// Adds an operation with integer attributes.
    fn node(&mut self, kind: &str, inputs: &[&str], output: &str, integers: &[(&str, i64)]) {
        let attribute = integers.iter().map(|(name, value)| Attribute {
            name: (*name).to_owned(),
            i: *value,
            kind: INTEGER,
        });
        self.nodes.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{kind}_{}", self.nodes.len()),
            op_type: kind.to_owned(),
            attribute: attribute.collect(),
        });
    }

    /// Adds the layers `<prefix><n * step>` with rectifiers between them. Returns the name of the output, which is `last` if given.
    fn layers(
        &mut self,
        tensors: &Tensors,
        prefix: &str,
        step: usize,
        input: &str,
        last: Option<&str>,
    ) -> anyhow::Result<String> {
        let count = (0..)
            .take_while(|n| tensors.contains(&format!("{prefix}{}.weight", n * step)))
            .count();
        if count == 0 {
            bail!("the tensor `{prefix}0.weight` is missing");
        }
        let mut values = input.to_owned();
        for n in 0..count {
            let layer = format!("{prefix}{}", n * step);
            let is_last = n + 1 == count;
            let out = match last {
                Some(last) if is_last => last.to_owned(),
                _ => self.name(),
            };
            self.dense(tensors, &layer, &values, &out)?;
            values = out;
            if !is_last {
                let rectified = self.name();
                self.node("Relu", &[&values], &rectified, &[]);
                values = rectified;
            }
        }
        Ok(values)
    }

    /// Adds a fully connected layer.
    fn dense(
        &mut self,
        tensors: &Tensors,
        layer: &str,
        input: &str,
        output: &str,
    ) -> anyhow::Result<()> {
        let weight_name = format!("{layer}.weight");
        let weight = self.constant(&weight_name, tensors.get(&weight_name)?);
        let bias_name = format!("{layer}.bias");
        let bias = self.constant(&bias_name, tensors.get(&bias_name)?);
        // The weight has one row per output, so ONNX has to transpose it.
        self.node("Gemm", &[input, &weight, &bias], output, &[("transB", 1)]);
        Ok(())
    }
}

/// The graph of an invertible classifier or of fully connected layers, whichever the tensors hold.
fn graph(tensors: &Tensors) -> anyhow::Result<Graph> {
    let mut builder = Builder::default();
    let (width, classes);
    if tensors.contains("phi.0.weight") {
        bail!("the file holds an encoder, which runs in the gateway and not on a server");
    }
    if tensors.contains("head.weight") {
        // Additive coupling: permute and split the input, (a, b) <- (b, a + m(b)) per block, then the head.
        let order = tensors.get("order")?;
        let half = order.values.len() / 2;
        let indices: Vec<i64> = order.values.iter().map(|&index| index as i64).collect();
        let (first, second) = indices.split_at(half);
        let first = builder.indices("first_half", first);
        let second = builder.indices("second_half", second);
        let (mut a, mut b) = (builder.name(), builder.name());
        builder.node("Gather", &["input", &first], &a, &[("axis", 1)]);
        builder.node("Gather", &["input", &second], &b, &[("axis", 1)]);
        let mut block = 0;
        while tensors.contains(&format!("block.{block}.0.weight")) {
            let shift = builder.layers(tensors, &format!("block.{block}."), 1, &b, None)?;
            let next = builder.name();
            builder.node("Add", &[&a, &shift], &next, &[]);
            a = std::mem::replace(&mut b, next);
            block += 1;
        }
        let latents = builder.name();
        builder.node("Concat", &[&a, &b], &latents, &[("axis", 1)]);
        builder.dense(tensors, "head", &latents, "output")?;
        width = order.values.len();
        classes = tensors.get("head.bias")?.values.len();
    } else {
        // PyTorch's `Sequential` numbers the rectifiers too, so its layers are every other module.
        let (prefix, step) = if tensors.contains("nn.0.weight") {
            ("nn.", 2)
        } else {
            ("", 1)
        };
        builder.layers(tensors, prefix, step, "input", Some("output"))?;
        let first = &tensors.get(&format!("{prefix}0.weight"))?.shape;
        width = first.get(1).copied().unwrap_or(0);
        // The bias of the last layer was added last; it has one value per class.
        let last = builder
            .constants
            .last()
            .map_or(0, |bias| bias.dims.iter().product());
        classes = usize::try_from(last).unwrap_or(0);
    }
    Ok(Graph {
        node: builder.nodes,
        name: "network".to_owned(),
        initializer: builder.constants,
        input: vec![value("input", width)],
        output: vec![value("output", classes)],
    })
}

/// A matrix with any number of rows.
fn value(name: &str, columns: usize) -> Value {
    Value {
        name: name.to_owned(),
        kind: Some(Type {
            tensor: Some(TensorType {
                elem_type: FLOAT,
                shape: Some(Shape {
                    dim: vec![
                        Dimension {
                            of: Some(DimensionOf::Any("batch".to_owned())),
                        },
                        Dimension {
                            of: Some(DimensionOf::Size(columns as i64)),
                        },
                    ],
                }),
            }),
        }),
    }
}

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const INTEGER: i32 = 2;

// The messages of `onnx.proto` that are written here, reduced to the fields in use.

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    // Unpacked, as in `onnx.proto` (proto2): some readers do not support packed lists.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(oneof = "DimensionOf", tags = "1, 2")]
    of: Option<DimensionOf>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DimensionOf {
    #[prost(int64, tag = "1")]
    Size(i64),
    #[prost(string, tag = "2")]
    Any(String),
}
