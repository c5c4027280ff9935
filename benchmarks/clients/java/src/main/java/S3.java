import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.*;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** The scene of all SDKs, through the AWS SDK for Java 2; see ../go/s3/main.go. */
public final class S3 {
  private static final int PART = 5 << 20;
  private final String bucket;
  private final S3Client client = S3Client.builder().forcePathStyle(true).build();

  private S3(String bucket) {
    this.bucket = bucket;
  }

  /** Runs the scene. Argument: a bucket that is not there yet. */
  public static void main(String[] arguments) throws Exception {
    S3 scene = new S3(arguments[0]);
    scene.client.createBucket(b -> b.bucket(scene.bucket));
    scene.objects();
    scene.parts();
    scene.listings();
    scene.versions();
  }

  private static void check(boolean holds, String told) {
    if (!holds) throw new AssertionError(told);
  }

  private static void refused(String code, Runnable asked) {
    try {
      asked.run();
    } catch (S3Exception error) {
      check(error.awsErrorDetails().errorCode().equals(code), error.toString());
      return;
    }
    throw new AssertionError("was not refused with " + code);
  }

  private PutObjectResponse put(String key, String body) {
    return client.putObject(b -> b.bucket(bucket).key(key), RequestBody.fromString(body));
  }

  private byte[] get(String key, String range) {
    return client
        .getObjectAsBytes(b -> b.bucket(bucket).key(key).range(range).checksumMode("ENABLED"))
        .asByteArray();
  }

  private void objects() throws Exception {
    String key = "a b/ü+1.txt";
    byte[] body = "hello of the field".getBytes(StandardCharsets.UTF_8);
    for (String algorithm : List.of("CRC32", "CRC32C", "SHA1", "SHA256")) {
      client.putObject(
          b -> b.bucket(bucket).key(key).checksumAlgorithm(algorithm).metadata(Map.of("colour", "blue")),
          RequestBody.fromBytes(body));
      check(Arrays.equals(get(key, null), body), "the body differs: " + algorithm);
    }
    check(new String(get(key, "bytes=1-3"), StandardCharsets.UTF_8).equals("ell"), "a range differs");
    refused(
        "PreconditionFailed",
        () -> client.putObject(b -> b.bucket(bucket).key(key).ifNoneMatch("*"), RequestBody.fromBytes(body)));
    refused("NoSuchKey", () -> get("none", null));
    Tag tag = Tag.builder().key("a").value("b").build();
    client.putObjectTagging(b -> b.bucket(bucket).key(key).tagging(t -> t.tagSet(tag)));
    check(
        client.getObjectTagging(b -> b.bucket(bucket).key(key)).tagSet().equals(List.of(tag)), "other tags");
    client.copyObject(
        b -> b.sourceBucket(bucket).sourceKey(key).destinationBucket(bucket).destinationKey("copy"));
    HeadObjectResponse head = client.headObject(b -> b.bucket(bucket).key("copy"));
    check("blue".equals(head.metadata().get("colour")), "a copy differs");
    check("AES256".equals(head.serverSideEncryptionAsString()), "a copy is not encrypted");
    S3Configuration plain = S3Configuration.builder().pathStyleAccessEnabled(true).build();
    URI url;
    try (S3Presigner presigner = S3Presigner.builder().serviceConfiguration(plain).build()) {
      url =
          presigner
              .presignGetObject(
                  b ->
                      b.signatureDuration(Duration.ofMinutes(1))
                          .getObjectRequest(g -> g.bucket(bucket).key(key)))
              .url()
              .toURI();
    }
    HttpRequest request = HttpRequest.newBuilder(url).build();
    byte[] signed = HttpClient.newHttpClient().send(request, BodyHandlers.ofByteArray()).body();
    check(Arrays.equals(signed, body), "a presigned URL brings other bytes");
  }

  private void parts() {
    byte[] content = "fogbank ".repeat((3 * PART + 8) / 8).getBytes(StandardCharsets.UTF_8);
    String key = "large";
    String id = client.createMultipartUpload(b -> b.bucket(bucket).key(key)).uploadId();
    List<CompletedPart> parts = new ArrayList<>();
    for (int number = 1; number <= 4; number++) {
      int at = number;
      byte[] body = Arrays.copyOfRange(content, (at - 1) * PART, Math.min(at * PART, content.length));
      String tag =
          client
              .uploadPart(
                  b -> b.bucket(bucket).key(key).uploadId(id).partNumber(at), RequestBody.fromBytes(body))
              .eTag();
      parts.add(CompletedPart.builder().partNumber(at).eTag(tag).build());
    }
    client.completeMultipartUpload(
        b -> b.bucket(bucket).key(key).uploadId(id).multipartUpload(m -> m.parts(parts)));
    check(Arrays.equals(get(key, null), content), "what was sent in parts differs");
    byte[] border = get(key, "bytes=%d-%d".formatted(PART - 3, PART + 4));
    check(
        Arrays.equals(border, Arrays.copyOfRange(content, PART - 3, PART + 5)),
        "a range over two parts differs");
    GetObjectResponse fourth =
        client.getObjectAsBytes(b -> b.bucket(bucket).key(key).partNumber(4)).response();
    check(fourth.contentLength() == 8 && fourth.partsCount() == 4, "a part differs");
  }

  private void listings() {
    for (int number = 0; number < 5; number++) put("many/" + number, "");
    List<ObjectIdentifier> keys =
        client.listObjectsV2Paginator(b -> b.bucket(bucket).prefix("many/").maxKeys(2)).contents().stream()
            .map(each -> ObjectIdentifier.builder().key(each.key()).build())
            .toList();
    check(keys.size() == 5, "a listing in pages differs");
    ListObjectsV2Response level = client.listObjectsV2(b -> b.bucket(bucket).delimiter("/"));
    check(level.commonPrefixes().size() == 2 && level.contents().size() == 2, "a level differs");
    check(
        client.deleteObjects(b -> b.bucket(bucket).delete(d -> d.objects(keys))).deleted().size() == 5,
        "not all were deleted");
  }

  private void versions() {
    client.putBucketVersioning(
        b -> b.bucket(bucket).versioningConfiguration(v -> v.status(BucketVersioningStatus.ENABLED)));
    PutObjectResponse first = put("v", "one");
    put("v", "two");
    client.deleteObject(b -> b.bucket(bucket).key("v"));
    ListObjectVersionsResponse found = client.listObjectVersions(b -> b.bucket(bucket).prefix("v"));
    check(found.versions().size() == 2 && found.deleteMarkers().size() == 1, "versions differ");
    String old =
        client.getObjectAsBytes(b -> b.bucket(bucket).key("v").versionId(first.versionId())).asUtf8String();
    check(old.equals("one"), "an old version differs");
  }
}
