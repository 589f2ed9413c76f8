//! Compiles the gRPC messages of the Open Inference Protocol, for the feature `server` only, in Rust
//! alone: no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "server")]
    compile()?;
    Ok(())
}

#[cfg(feature = "server")]
fn compile() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .open_file("open_inference.proto")?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    // For reflection.
    std::fs::write(
        out.join("open_inference.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .codec_path("crate::server::codec::BoundedCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
