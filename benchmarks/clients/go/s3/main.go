// The scene of all SDKs, through the AWS SDK for Go v2: objects with checksums, ranges, conditions,
// parts, copies, listings, presigned URLs, tags and versions. Argument: a bucket that is not there yet.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const part = 5 << 20

func must[T any](value T, err error) T {
	check(err == nil, fmt.Sprint(err))
	return value
}

func check(holds bool, told string) {
	if !holds {
		fmt.Fprintln(os.Stderr, told)
		os.Exit(1)
	}
}

func code(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return fmt.Sprint(err)
}

type scene struct {
	ctx    context.Context
	client *s3.Client
	bucket *string
}

func (s scene) get(key string, span *string) []byte {
	got := must(s.client.GetObject(s.ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: &key, Range: span, ChecksumMode: types.ChecksumModeEnabled}))
	return must(io.ReadAll(got.Body))
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	cfg := must(config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1)))
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	s := scene{ctx, client, &os.Args[1]}
	must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: s.bucket}))
	s.objects()
	s.parts()
	s.listings()
	s.versions()
}

func (s scene) objects() {
	key, body := "a b/ü+1.txt", []byte("hello of the field")
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		must(s.client.PutObject(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm, Metadata: map[string]string{"colour": "blue"}}))
		check(bytes.Equal(s.get(key, nil), body), "the body differs: "+string(algorithm))
	}
	check(string(s.get(key, aws.String("bytes=1-3"))) == "ell", "a range differs")
	_, err := s.client.PutObject(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*")})
	check(code(err) == "PreconditionFailed", "written over: "+code(err))
	_, err = s.client.GetObject(s.ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("none")})
	check(code(err) == "NoSuchKey", code(err))
	must(s.client.PutObjectTagging(s.ctx, &s3.PutObjectTaggingInput{Bucket: s.bucket, Key: &key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}))
	tags := must(s.client.GetObjectTagging(s.ctx, &s3.GetObjectTaggingInput{Bucket: s.bucket, Key: &key}))
	check(len(tags.TagSet) == 1 && *tags.TagSet[0].Value == "b", "other tags")
	source := *s.bucket + "/a%20b/%C3%BC%2B1.txt"
	must(s.client.CopyObject(s.ctx, &s3.CopyObjectInput{Bucket: s.bucket, Key: aws.String("copy"), CopySource: &source}))
	head := must(s.client.HeadObject(s.ctx, &s3.HeadObjectInput{Bucket: s.bucket, Key: aws.String("copy")}))
	check(head.Metadata["colour"] == "blue" && head.ServerSideEncryption == "AES256", "a copy differs")
	url := must(s3.NewPresignClient(s.client).PresignGetObject(s.ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: &key})).URL
	reply := must(http.Get(url))
	check(bytes.Equal(must(io.ReadAll(reply.Body)), body), "a presigned URL brings other bytes")
}

func (s scene) parts() {
	content, key := bytes.Repeat([]byte("fogbank "), (3*part+8)/8), "large"
	uploader := manager.NewUploader(s.client, func(u *manager.Uploader) { u.PartSize = part })
	must(uploader.Upload(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader(content)}))
	buffer := manager.NewWriteAtBuffer(nil)
	must(manager.NewDownloader(s.client).Download(s.ctx, buffer, &s3.GetObjectInput{Bucket: s.bucket, Key: &key}))
	check(bytes.Equal(buffer.Bytes(), content), "what was sent in parts differs")
	span := fmt.Sprintf("bytes=%d-%d", part-3, part+4)
	check(bytes.Equal(s.get(key, &span), content[part-3:part+5]), "a range over two parts differs")
	second := must(s.client.GetObject(s.ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: &key, PartNumber: aws.Int32(4)}))
	check(*second.ContentLength == 8 && *second.PartsCount == 4, "a part differs")
}

func (s scene) listings() {
	for number := range 5 {
		key := fmt.Sprintf("many/%d", number)
		must(s.client.PutObject(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader(nil)}))
	}
	var keys []types.ObjectIdentifier
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: s.bucket, Prefix: aws.String("many/"), MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, object := range must(pages.NextPage(s.ctx)).Contents {
			keys = append(keys, types.ObjectIdentifier{Key: object.Key})
		}
	}
	check(len(keys) == 5, "a listing in pages differs")
	level := must(s.client.ListObjectsV2(s.ctx, &s3.ListObjectsV2Input{Bucket: s.bucket, Delimiter: aws.String("/")}))
	check(len(level.CommonPrefixes) == 2 && len(level.Contents) == 2, "a level differs")
	gone := must(s.client.DeleteObjects(s.ctx, &s3.DeleteObjectsInput{Bucket: s.bucket, Delete: &types.Delete{Objects: keys}}))
	check(len(gone.Deleted) == 5, "not all were deleted")
}

func (s scene) versions() {
	must(s.client.PutBucketVersioning(s.ctx, &s3.PutBucketVersioningInput{Bucket: s.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"}}))
	key := "v"
	first := must(s.client.PutObject(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader([]byte("one"))}))
	must(s.client.PutObject(s.ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader([]byte("two"))}))
	must(s.client.DeleteObject(s.ctx, &s3.DeleteObjectInput{Bucket: s.bucket, Key: &key}))
	found := must(s.client.ListObjectVersions(s.ctx, &s3.ListObjectVersionsInput{Bucket: s.bucket, Prefix: &key}))
	check(len(found.Versions) == 2 && len(found.DeleteMarkers) == 1, "versions differ")
	old := must(s.client.GetObject(s.ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: &key, VersionId: first.VersionId}))
	check(string(must(io.ReadAll(old.Body))) == "one", "an old version differs")
}
