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
    let files = protox::compile(["open_inference.proto"], ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("open_inference.bin"))
        .compile_fds(files)?;
    Ok(())
}
