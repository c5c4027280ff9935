//! The scene of all SDKs, through the AWS SDK for Rust; see ../../go/dynamodb/main.go.
//! Argument: what its table is called by.
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue as Value, BillingMode, ConditionCheck, Get,
    GlobalSecondaryIndex, KeySchemaElement, KeyType, KeysAndAttributes, LocalSecondaryIndex,
    Projection, ProjectionType, Put, PutRequest, ReturnValue, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification, TransactGetItem,
    TransactWriteItem, Update, WriteRequest,
};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
type Item = HashMap<String, Value>;
const WAIT: Duration = Duration::from_secs(60);

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or("none")
}

fn text(value: &str) -> Value {
    Value::S(value.to_string())
}

fn number(value: u64) -> Value {
    Value::N(value.to_string())
}

fn key(artist: &str, song: &str) -> Item {
    HashMap::from([("artist".into(), text(artist)), ("song".into(), text(song))])
}

fn row(at: u64) -> Item {
    let mut item = key(&format!("a{}", at % 4), &format!("s{at:03}"));
    item.insert("year".into(), number(1900 + at));
    item.insert("genre".into(), text(if at % 2 == 0 { "even" } else { "odd" }));
    item
}

fn years(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item["year"].as_n().unwrap().parse().unwrap()).collect()
}

fn schema(names: [&str; 2]) -> Vec<KeySchemaElement> {
    [(names[0], KeyType::Hash), (names[1], KeyType::Range)]
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap())
        .to_vec()
}

struct Scene {
    client: Client,
    table: String,
}

impl Scene {
    async fn create(&self) -> Outcome {
        let kinds = [("artist", "S"), ("song", "S"), ("year", "N"), ("genre", "S")];
        let attributes = kinds.map(|(name, kind)| {
            let kind = ScalarAttributeType::from(kind);
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        });
        let all = Projection::builder().projection_type(ProjectionType::All).build();
        self.client
            .create_table()
            .table_name(&self.table)
            .set_attribute_definitions(Some(attributes.to_vec()))
            .set_key_schema(Some(schema(["artist", "song"])))
            .billing_mode(BillingMode::PayPerRequest)
            .local_secondary_indexes(LocalSecondaryIndex::builder().index_name("by-year")
                .set_key_schema(Some(schema(["artist", "year"]))).projection(all.clone()).build()?)
            .global_secondary_indexes(GlobalSecondaryIndex::builder().index_name("by-genre")
                .set_key_schema(Some(schema(["genre", "year"]))).projection(all).build()?)
            .stream_specification(StreamSpecification::builder().stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages).build()?)
            .send()
            .await?;
        self.client.wait_until_table_exists().table_name(&self.table).wait(WAIT).await?;
        Ok(())
    }

    async fn get(&self, key: Item) -> Outcome<Option<Item>> {
        let asked = self.client.get_item().table_name(&self.table).set_key(Some(key));
        Ok(asked.consistent_read(true).send().await?.item)
    }

    async fn types(&self) -> Outcome {
        let mut item = key("Björk 🎻", "Jóga");
        item.insert("digits".into(), Value::N("12345678901234567890.123456789012345678".into()));
        item.insert("bytes".into(), Value::B(Blob::new([0, 255])));
        item.insert("nothing".into(), Value::Null(true));
        item.insert("names".into(), Value::Ss(vec!["a".into(), "b".into()]));
        let deep = HashMap::from([("ü".to_string(), Value::L(vec![Value::Bool(true), text("")]))]);
        item.insert("map".into(), Value::M(deep));
        self.client.put_item().table_name(&self.table).set_item(Some(item.clone())).send().await?;
        let here = key("Björk 🎻", "Jóga");
        assert_eq!(self.get(here.clone()).await?, Some(item));
        self.client.delete_item().table_name(&self.table).set_key(Some(here)).send().await?;
        Ok(())
    }

    async fn conditions(&self) -> Outcome {
        let nina = key("Nina", "Feeling Good");
        for wanted in ["", "ConditionalCheckFailedException"] {
            let mut item = nina.clone();
            item.insert("plays".into(), number(1));
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
            let done = put.condition_expression("attribute_not_exists(song)").send().await;
            assert_eq!(done.as_ref().map(|_| "").unwrap_or_else(|error| code(error)), wanted);
        }
        let turns = (0..40).map(|_| {
            let update = self.client.update_item().table_name(&self.table).set_key(Some(nina.clone()));
            tokio::spawn(update.update_expression("ADD plays :one")
                .expression_attribute_values(":one", number(1)).send())
        });
        for turn in turns.collect::<Vec<_>>() {
            turn.await??;
        }
        let gone = self.client.delete_item().table_name(&self.table).set_key(Some(nina))
            .return_values(ReturnValue::AllOld).send().await?;
        assert_eq!(gone.attributes.unwrap()["plays"], number(41));
        Ok(())
    }

    async fn query(&self, index: Option<&str>, condition: &str, a: Value, b: Option<Value>) -> Outcome<Vec<Item>> {
        let mut values = HashMap::from([(":a".to_string(), a)]);
        values.extend(b.map(|value| (":b".to_string(), value)));
        let asked = self.client.query().table_name(&self.table).set_index_name(index.map(Into::into))
            .key_condition_expression(condition).set_expression_attribute_values(Some(values));
        let pages = asked.limit(7).into_paginator().items().send();
        Ok(pages.collect::<Result<Vec<Item>, _>>().await?)
    }

    async fn many(&self) -> Outcome {
        for begin in (0..100).step_by(25) {
            let puts = (begin..begin + 25).map(|at| {
                let put = PutRequest::builder().set_item(Some(row(at))).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let done = self.client.batch_write_item().request_items(&self.table, puts.collect()).send().await?;
            assert!(done.unprocessed_items.unwrap_or_default().is_empty());
        }
        let begins = "artist = :a AND begins_with(song, :b)";
        assert_eq!(years(&self.query(None, begins, text("a1"), Some(text("s09"))).await?), [1993, 1997]);
        let between = self.query(Some("by-year"), "artist = :a", text("a2"), None).await?;
        assert_eq!(years(&between)[..3], [1902, 1906, 1910]);
        let odd = self.query(Some("by-genre"), "genre = :a", text("odd"), None).await?;
        assert_eq!(years(&odd), (0..50).map(|at| 1901 + 2 * at).collect::<Vec<u64>>());
        let mut seen = Vec::new();
        for segment in 0..3 {
            let scan = self.client.scan().table_name(&self.table).segment(segment).total_segments(3);
            let pages = scan.limit(11).into_paginator().items().send();
            seen.extend(years(&pages.collect::<Result<Vec<Item>, _>>().await?));
        }
        seen.sort();
        assert_eq!(seen, (1900..2000).collect::<Vec<u64>>());
        let keys = (0..100).map(|at| key(&format!("a{}", at % 4), &format!("s{at:03}"))).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).build()?;
        let got = self.client.batch_get_item().request_items(&self.table, wanted).send().await?;
        assert_eq!(got.responses.unwrap()[&self.table].len(), 100);
        Ok(())
    }

    async fn transact(&self, genre: &str) -> Result<(), String> {
        let mut one = key("t", "1");
        one.insert("plays".into(), number(5));
        let put = Put::builder().table_name(&self.table).set_item(Some(one)).build().unwrap();
        let add = Update::builder().table_name(&self.table).set_key(Some(key("t", "2")))
            .update_expression("ADD plays :five").expression_attribute_values(":five", number(5)).build().unwrap();
        let check = ConditionCheck::builder().table_name(&self.table).set_key(Some(key("a0", "s000")))
            .condition_expression("genre = :g").expression_attribute_values(":g", text(genre)).build().unwrap();
        let done = self.client.transact_write_items()
            .client_request_token(format!("{}{genre}", self.table))
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().update(add).build())
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .send()
            .await;
        done.map(|_| ()).map_err(|error| {
            let error = error.into_service_error();
            assert!(error.is_transaction_canceled_exception(), "{error:?}");
            format!("{error:?}")
        })
    }

    async fn transactions(&self) -> Outcome {
        for _ in 0..2 {
            self.transact("even").await?; // the second says what the first did
        }
        let get = |song| {
            let get = Get::builder().table_name(&self.table).set_key(Some(key("t", song))).build().unwrap();
            TransactGetItem::builder().get(get).build()
        };
        let both = self.client.transact_get_items().transact_items(get("1")).transact_items(get("2")).send().await?;
        for found in both.responses.unwrap() {
            assert_eq!(found.item.unwrap()["plays"], number(5));
        }
        let why = self.transact("odd").await.unwrap_err();
        assert!(why.contains("ConditionalCheckFailed"), "{why}");
        let said = self.client.execute_statement()
            .statement(format!("SELECT plays FROM \"{}\" WHERE artist = 't' AND song = '2'", self.table)).send().await?;
        assert_eq!(said.items.unwrap()[0]["plays"], number(5));
        Ok(())
    }

    async fn changes(&self, streams: aws_sdk_dynamodbstreams::Client) -> Outcome {
        let told = self.client.describe_table().table_name(&self.table).send().await?.table.unwrap();
        let arn = told.latest_stream_arn.unwrap();
        let stream = streams.describe_stream().stream_arn(&arn).send().await?.stream_description.unwrap();
        let mut names = Vec::new();
        for shard in stream.shards() {
            let mut at = streams.get_shard_iterator().stream_arn(&arn).shard_id(shard.shard_id().unwrap())
                .shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?.shard_iterator;
            while let Some(here) = at {
                let page = streams.get_records().shard_iterator(here).limit(50).send().await?;
                for record in page.records() {
                    let change = record.dynamodb().unwrap();
                    if change.keys().unwrap()["artist"].as_s().unwrap() == "Nina" {
                        names.push(record.event_name().unwrap().as_str().to_string());
                    }
                }
                at = if page.records().is_empty() { None } else { page.next_shard_iterator };
            }
        }
        assert_eq!((names[0].as_str(), names[41].as_str(), names.len()), ("INSERT", "REMOVE", 42));
        Ok(())
    }

    async fn expiry(&self) -> Outcome {
        let spec = TimeToLiveSpecification::builder().enabled(true).attribute_name("until").build()?;
        self.client.update_time_to_live().table_name(&self.table).time_to_live_specification(spec).send().await?;
        let mut past = key("short", "1");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        past.insert("until".into(), number(now - 1));
        self.client.put_item().table_name(&self.table).set_item(Some(past)).send().await?;
        let began = Instant::now();
        while self.get(key("short", "1")).await?.is_some() {
            assert!(began.elapsed() < WAIT, "an expired item stays");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let config = aws_config::load_from_env().await;
    let table = std::env::args().nth(1).unwrap();
    let scene = Scene { client: Client::new(&config), table };
    scene.create().await?;
    scene.types().await?;
    scene.conditions().await?;
    scene.many().await?;
    scene.transactions().await?;
    scene.changes(aws_sdk_dynamodbstreams::Client::new(&config)).await?;
    scene.expiry().await?;
    scene.client.delete_table().table_name(&scene.table).send().await?;
    scene.client.wait_until_table_not_exists().table_name(&scene.table).wait(WAIT).await?;
    Ok(())
}
