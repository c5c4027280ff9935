// The main job through the AWS SDK for Go v2, unmodified, against the endpoint that the AWS_*
// variables name: buckets, table, role, function, permission, notification, picture, row.
// Arguments: the function's package (zip), a picture, a word that makes names unique, a runtime.
// Prints one JSON object: what it saw. tests/http/test_sdks.py compares.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	rows "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	functions "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	objects "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const trust = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
	"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`
const allow = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
	"Action": ["s3:*", "dynamodb:*", "logs:*"], "Resource": "*"}]}`

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func read(path string) []byte { return must(os.ReadFile(path)) }

func code(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return fmt.Sprint(err)
}

type job struct {
	ctx                      context.Context
	cfg                      aws.Config
	s3                       *s3.Client
	tables                   *dynamodb.Client
	word, photos, thumbnails string
	saw                      map[string]any
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	cfg := must(config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1)))
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	word := os.Args[3]
	j := &job{ctx, cfg, client, dynamodb.NewFromConfig(cfg), word, word + "-photos", word + "-thumbnails", map[string]any{}}
	j.build(read(os.Args[1]))
	j.upload(read(os.Args[2]))
	j.large()
	_ = must(os.Stdout.Write(must(json.Marshal(j.saw))))
}

// build makes everything that the job needs.
func (j *job) build(zip []byte) {
	identity := must(sts.NewFromConfig(j.cfg).GetCallerIdentity(j.ctx, &sts.GetCallerIdentityInput{}))
	j.saw["account"] = *identity.Account
	for _, bucket := range []string{j.photos, j.thumbnails} {
		must(j.s3.CreateBucket(j.ctx, &s3.CreateBucketInput{Bucket: &bucket}))
	}
	must(j.tables.CreateTable(j.ctx, &dynamodb.CreateTableInput{
		TableName:            &j.word,
		KeySchema:            []rows.KeySchemaElement{{AttributeName: aws.String("name"), KeyType: rows.KeyTypeHash}},
		AttributeDefinitions: []rows.AttributeDefinition{{AttributeName: aws.String("name"), AttributeType: "S"}},
		BillingMode:          rows.BillingModePayPerRequest,
	}))
	exists := dynamodb.NewTableExistsWaiter(j.tables)
	must(0, exists.Wait(j.ctx, &dynamodb.DescribeTableInput{TableName: &j.word}, time.Minute))
	roles := iam.NewFromConfig(j.cfg)
	role := must(roles.CreateRole(j.ctx, &iam.CreateRoleInput{RoleName: &j.word, AssumeRolePolicyDocument: aws.String(trust)}))
	must(roles.PutRolePolicy(j.ctx, &iam.PutRolePolicyInput{RoleName: &j.word, PolicyName: aws.String("all"), PolicyDocument: aws.String(allow)}))
	client := lambda.NewFromConfig(j.cfg)
	made := must(client.CreateFunction(j.ctx, &lambda.CreateFunctionInput{
		FunctionName: &j.word, Role: role.Role.Arn, Handler: aws.String("app.handler"),
		Runtime: functions.Runtime(os.Args[4]), Timeout: aws.Int32(30), MemorySize: aws.Int32(512),
		Code:        &functions.FunctionCode{ZipFile: zip},
		Environment: &functions.Environment{Variables: map[string]string{"THUMBNAILS_BUCKET": j.thumbnails, "TABLE": j.word}},
	}))
	active := lambda.NewFunctionActiveV2Waiter(client)
	must(0, active.Wait(j.ctx, &lambda.GetFunctionInput{FunctionName: &j.word}, time.Minute))
	must(client.AddPermission(j.ctx, &lambda.AddPermissionInput{
		FunctionName: &j.word, StatementId: aws.String("s3"), Action: aws.String("lambda:InvokeFunction"),
		Principal: aws.String("s3.amazonaws.com"), SourceArn: aws.String("arn:aws:s3:::" + j.photos),
	}))
	must(j.s3.PutBucketNotificationConfiguration(j.ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &j.photos,
		NotificationConfiguration: &objects.NotificationConfiguration{
			LambdaFunctionConfigurations: []objects.LambdaFunctionConfiguration{
				{LambdaFunctionArn: made.FunctionArn, Events: []objects.Event{"s3:ObjectCreated:*"}},
			},
		},
	}))
}

// upload puts the picture and waits for its row and its thumbnail.
func (j *job) upload(picture []byte) {
	name := "a b/picture+ü.jpg"
	must(j.s3.PutObject(j.ctx, &s3.PutObjectInput{Bucket: &j.photos, Key: &name, Body: bytes.NewReader(picture), ContentType: aws.String("image/jpeg")}))
	key := map[string]rows.AttributeValue{"name": &rows.AttributeValueMemberS{Value: name}}
	for {
		got := must(j.tables.GetItem(j.ctx, &dynamodb.GetItemInput{TableName: &j.word, Key: key, ConsistentRead: aws.Bool(true)}))
		if size, ok := got.Item["size"].(*rows.AttributeValueMemberN); ok {
			j.saw["size"] = size.Value
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	thumbnail := name + ".jpg"
	head := must(j.s3.HeadObject(j.ctx, &s3.HeadObjectInput{Bucket: &j.thumbnails, Key: &thumbnail}))
	j.saw["thumbnail"] = *head.ContentType
	url := must(s3.NewPresignClient(j.s3).PresignGetObject(j.ctx, &s3.GetObjectInput{Bucket: &j.photos, Key: &name})).URL
	var client aws.HTTPClient = http.DefaultClient
	if j.cfg.HTTPClient != nil { // it trusts what AWS_CA_BUNDLE names
		client = j.cfg.HTTPClient
	}
	reply := must(client.Do(must(http.NewRequestWithContext(j.ctx, http.MethodGet, url, nil))))
	j.saw["presigned"] = bytes.Equal(must(io.ReadAll(reply.Body)), picture)
	_, err := j.s3.GetObject(j.ctx, &s3.GetObjectInput{Bucket: &j.photos, Key: aws.String("none")})
	j.saw["missing"] = code(err)
	_, err = j.tables.PutItem(j.ctx, &dynamodb.PutItemInput{TableName: &j.word, Item: key, ConditionExpression: aws.String("attribute_not_exists(#n)"), ExpressionAttributeNames: map[string]string{"#n": "name"}})
	j.saw["condition"] = code(err)
}

// large sends an object in parts and reads it back in ranges, side by side.
func (j *job) large() {
	content := bytes.Repeat([]byte("fogbank "), 2<<20)
	uploader := manager.NewUploader(j.s3)
	must(uploader.Upload(j.ctx, &s3.PutObjectInput{Bucket: &j.thumbnails, Key: aws.String("large"), Body: bytes.NewReader(content)}))
	got := manager.NewWriteAtBuffer(nil)
	must(manager.NewDownloader(j.s3).Download(j.ctx, got, &s3.GetObjectInput{Bucket: &j.thumbnails, Key: aws.String("large")}))
	j.saw["large"] = bytes.Equal(got.Bytes(), content)
}
