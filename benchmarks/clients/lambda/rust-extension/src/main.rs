//! An external extension by AWS's library for Rust: it hears of events and of telemetry, and prints both.

use lambda_extension::{
    service_fn, Error, Extension, LambdaEvent, LambdaTelemetry, LambdaTelemetryRecord, NextEvent,
    SharedService,
};

async fn on_event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(told) => println!("extension invoke {}", told.request_id),
        NextEvent::Shutdown(told) => println!("extension shutdown {}", told.shutdown_reason),
    }
    Ok(())
}

async fn on_telemetry(told: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for each in told {
        match each.record {
            LambdaTelemetryRecord::Function(line) => println!("extension line {line}"),
            LambdaTelemetryRecord::PlatformStart { request_id, .. } => {
                println!("extension start {request_id}")
            }
            LambdaTelemetryRecord::PlatformReport { request_id, .. } => {
                println!("extension report {request_id}")
            }
            _ => (),
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Extension::new()
        .with_events_processor(service_fn(on_event))
        .with_telemetry_types(&["platform", "function"])
        .with_telemetry_processor(SharedService::new(service_fn(on_telemetry)))
        .run()
        .await
}
