//! Checks a proglog server with tonic: `client-checks HOST:PORT`.

mod client;
mod failures;
mod reads;
mod report;
mod writes;

use std::{env, process::ExitCode};

use client::Client;
use report::Report;

/// What tonic generates from the proto files.
mod proto {
    pub mod log {
        tonic::include_proto!("log.v1");
    }
    pub mod proglog {
        tonic::include_proto!("proglog.v1");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let address = env::args().nth(1).expect("usage: client-checks HOST:PORT");
    let client = Client::new(&address);
    let mut report = Report::default();
    report.add("produce", writes::produce(&client).await);
    report.add("produce-batch", writes::produce_batch(&client).await);
    report.add("produce-stream", writes::produce_stream(&client).await);
    report.add("large-message", writes::large_message(&client).await);
    report.add("seed", writes::seed(&client).await);
    report.add("consume", reads::consume(&client).await);
    report.add("consume-long-poll", reads::consume_long_poll(&client).await);
    report.add("tail", reads::tail(&client).await);
    report.add("error-details", failures::error_details(&client).await);
    report.add("deadline", failures::deadline(&client).await);
    report.add("cancel", failures::cancel(&client).await);
    report.add("reconnect", failures::reconnect(&client).await);
    report.exit_code()
}
