// A function in Rust, with AWS's library: what its event asks for.
use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (given, about) = event.into_parts();
    match given["do"].as_str() {
        Some("fail") => Err("no".into()),
        Some("sleep") => {
            std::thread::sleep(std::time::Duration::from_secs(60));
            Ok(Value::Null)
        }
        Some("memory") => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1u8; 1 << 20]);
            }
        }
        _ => Ok(json!({
            "value": given["value"],
            "id": about.request_id,
            "arn": about.invoked_function_arn,
        })),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
