//! The scene of all SDKs, through the AWS SDK for Rust; see ../../go/s3/main.go.
//! Argument: a bucket that is not there yet.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload,
    CompletedPart, Delete, ObjectIdentifier, Tag, Tagging, VersioningConfiguration,
};
use aws_sdk_s3::Client;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
const PART: usize = 5 << 20;

struct Scene {
    client: Client,
    bucket: String,
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or("none")
}

impl Scene {
    async fn get(&self, key: &str, range: Option<String>) -> Outcome<Vec<u8>> {
        let asked = self.client.get_object().bucket(&self.bucket).key(key);
        let got = asked.set_range(range).checksum_mode(ChecksumMode::Enabled).send().await?;
        Ok(got.body.collect().await?.to_vec())
    }

    async fn put(&self, key: &str, body: &'static str) -> Outcome<Option<String>> {
        let asked = self.client.put_object().bucket(&self.bucket).key(key);
        let made = asked.body(ByteStream::from_static(body.as_bytes())).send().await?;
        Ok(made.version_id)
    }

    async fn objects(&self) -> Outcome {
        let (key, body) = ("a b/ü+1.txt", "hello of the field".as_bytes());
        let put = || {
            let asked = self.client.put_object().bucket(&self.bucket).key(key);
            asked.body(ByteStream::from_static(body)).metadata("colour", "blue")
        };
        for algorithm in [
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32C,
            ChecksumAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256,
        ] {
            put().checksum_algorithm(algorithm).send().await?;
            assert_eq!(self.get(key, None).await?, body);
        }
        assert_eq!(self.get(key, Some("bytes=1-3".into())).await?, b"ell");
        let error = put().if_none_match("*").send().await.expect_err("written over");
        assert_eq!(code(&error), "PreconditionFailed");
        let asked = self.client.get_object().bucket(&self.bucket).key("none");
        assert_eq!(code(&asked.send().await.expect_err("it is not there")), "NoSuchKey");
        let tags = Tagging::builder().tag_set(Tag::builder().key("a").value("b").build()?).build()?;
        let asked = self.client.put_object_tagging().bucket(&self.bucket).key(key);
        asked.tagging(tags).send().await?;
        let found = self.client.get_object_tagging().bucket(&self.bucket).key(key).send().await?;
        assert_eq!((found.tag_set[0].key(), found.tag_set[0].value()), ("a", "b"));
        let source = format!("{}/a%20b/%C3%BC%2B1.txt", self.bucket);
        let asked = self.client.copy_object().bucket(&self.bucket).key("copy");
        asked.copy_source(source).send().await?;
        let head = self.client.head_object().bucket(&self.bucket).key("copy").send().await?;
        assert_eq!(head.metadata().and_then(|all| all.get("colour")).map(String::as_str), Some("blue"));
        assert_eq!(head.server_side_encryption().map(|each| each.as_str()), Some("AES256"));
        let expiry = PresigningConfig::expires_in(Duration::from_secs(60))?;
        let asked = self.client.get_object().bucket(&self.bucket).key(key);
        let url = asked.presigned(expiry).await?.uri().to_owned();
        assert!(fetched(&url)?.ends_with(body));
        Ok(())
    }

    async fn parts(&self) -> Outcome {
        let content: Vec<u8> = b"fogbank ".iter().copied().cycle().take(3 * PART + 8).collect();
        // AWS finds no part by a checksum that the upload was not begun with.
        let begun = self.client.create_multipart_upload().bucket(&self.bucket).key("large");
        let begun = begun.checksum_algorithm(ChecksumAlgorithm::Crc32);
        let id = begun.send().await?.upload_id.expect("an upload has an id");
        let mut done = CompletedMultipartUpload::builder();
        for (at, body) in content.chunks(PART).enumerate() {
            let asked = self.client.upload_part().bucket(&self.bucket).key("large").upload_id(&id);
            let number = i32::try_from(at)? + 1;
            let made = asked.part_number(number).body(body.to_vec().into()).send().await?;
            let part = CompletedPart::builder().part_number(number).set_e_tag(made.e_tag);
            done = done.parts(part.set_checksum_crc32(made.checksum_crc32).build());
        }
        let asked = self.client.complete_multipart_upload().bucket(&self.bucket).key("large");
        asked.upload_id(id).multipart_upload(done.build()).send().await?;
        assert_eq!(self.get("large", None).await?, content);
        let border = self.get("large", Some(format!("bytes={}-{}", PART - 3, PART + 4))).await?;
        assert_eq!(border, content[PART - 3..PART + 5]);
        let asked = self.client.get_object().bucket(&self.bucket).key("large").part_number(4);
        let fourth = asked.send().await?;
        assert_eq!((fourth.content_length, fourth.parts_count), (Some(8), Some(4)));
        Ok(())
    }

    async fn listings(&self) -> Outcome {
        for number in 0..5 {
            self.put(&format!("many/{number}"), "").await?;
        }
        let asked = self.client.list_objects_v2().bucket(&self.bucket).prefix("many/").max_keys(2);
        let mut pages = asked.into_paginator().send();
        let mut gone = Delete::builder();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            for object in page?.contents() {
                count += 1;
                let key = object.key().expect("an object has a key");
                gone = gone.objects(ObjectIdentifier::builder().key(key).build()?);
            }
        }
        assert_eq!(count, 5);
        let level = self.client.list_objects_v2().bucket(&self.bucket).delimiter("/").send().await?;
        assert_eq!((level.common_prefixes().len(), level.contents().len()), (2, 2));
        let asked = self.client.delete_objects().bucket(&self.bucket).delete(gone.build()?);
        assert_eq!(asked.send().await?.deleted().len(), 5);
        Ok(())
    }

    async fn versions(&self) -> Outcome {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let asked = self.client.put_bucket_versioning().bucket(&self.bucket);
        asked.versioning_configuration(on).send().await?;
        let first = self.put("v", "one").await?;
        self.put("v", "two").await?;
        self.client.delete_object().bucket(&self.bucket).key("v").send().await?;
        let found = self.client.list_object_versions().bucket(&self.bucket).prefix("v").send().await?;
        assert_eq!((found.versions().len(), found.delete_markers().len()), (2, 1));
        let asked = self.client.get_object().bucket(&self.bucket).key("v").set_version_id(first);
        assert_eq!(asked.send().await?.body.collect().await?.to_vec(), b"one");
        Ok(())
    }
}

/// Returns what a plain client of HTTP is answered.
fn fetched(url: &str) -> Outcome<Vec<u8>> {
    let rest = url.strip_prefix("http://").ok_or("not in the clear")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Outcome {
    let shared = aws_config::load_from_env().await;
    let config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build();
    let bucket = std::env::args().nth(1).ok_or("the bucket is not named")?;
    let scene = Scene { client: Client::from_conf(config), bucket };
    scene.client.create_bucket().bucket(&scene.bucket).send().await?;
    scene.objects().await?;
    scene.parts().await?;
    scene.listings().await?;
    scene.versions().await
}
