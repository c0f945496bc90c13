//! Generates the clients from the repository's proto files, with a protoc that
//! comes from a crate.

use std::error::Error;

const PROTO: &str = "../../../proto";
const FILES: [&str; 3] =
    ["log/v1/log.proto", "proglog/v1/log_service.proto", "proglog/v1/topic_service.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let mut config = tonic_prost_build::Config::new();
    config.protoc_executable(protoc_bin_vendored::protoc_bin_path()?);
    tonic_prost_build::configure().build_server(false).compile_with_config(
        config,
        &FILES,
        &[PROTO],
    )?;
    Ok(())
}
