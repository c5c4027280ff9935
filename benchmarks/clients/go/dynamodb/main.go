// The scene of all SDKs, through the AWS SDK for Go v2: items as structures, conditions as
// expressions, indexes, pages, batches, transactions, PartiQL, expiry and streams. Argument: what its
// table is called by.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/smithy-go"
)

const digits = "12345678901234567890.123456789012345678"

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

type item struct {
	Artist  string                     `dynamodbav:"artist"`
	Song    string                     `dynamodbav:"song"`
	Year    int                        `dynamodbav:"year,omitempty"`
	Genre   string                     `dynamodbav:"genre,omitempty"`
	Plays   int                        `dynamodbav:"plays,omitempty"`
	Digits  attributevalue.Number      `dynamodbav:"digits,omitempty"`
	Bytes   []byte                     `dynamodbav:"bytes,omitempty"`
	Nothing *string                    `dynamodbav:"nothing"`
	List    []any                      `dynamodbav:"list,omitempty"`
	Map     map[string]map[string]bool `dynamodbav:"map,omitempty"`
	Names   []string                   `dynamodbav:"names,stringset,omitempty"`
	Numbers []float64                  `dynamodbav:"numbers,numberset,omitempty"`
	Until   int64                      `dynamodbav:"until,omitempty"`
}

func (i item) key() map[string]types.AttributeValue {
	return must(attributevalue.MarshalMap(map[string]string{"artist": i.Artist, "song": i.Song}))
}

type scene struct {
	ctx    context.Context
	client *dynamodb.Client
	table  *string
}

func keys(names ...string) []types.KeySchemaElement {
	kinds := []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}
	var found []types.KeySchemaElement
	for at, name := range names {
		found = append(found, types.KeySchemaElement{AttributeName: &name, KeyType: kinds[at]})
	}
	return found
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	defer stop()
	cfg := must(config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1)))
	s := scene{ctx, dynamodb.NewFromConfig(cfg), &os.Args[1]}
	s.create()
	s.types()
	s.conditions()
	s.many()
	s.transactions()
	s.statements()
	s.changes(dynamodbstreams.NewFromConfig(cfg))
	s.expiry()
	must(s.client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: s.table}))
	waiter := dynamodb.NewTableNotExistsWaiter(s.client)
	err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: s.table}, time.Minute)
	check(err == nil, fmt.Sprint(err))
}

func (s scene) create() {
	var attributes []types.AttributeDefinition
	for name, kind := range map[string]types.ScalarAttributeType{"artist": "S", "song": "S", "year": "N", "genre": "S"} {
		attributes = append(attributes, types.AttributeDefinition{AttributeName: &name, AttributeType: kind})
	}
	must(s.client.CreateTable(s.ctx, &dynamodb.CreateTableInput{
		TableName: s.table, KeySchema: keys("artist", "song"), AttributeDefinitions: attributes,
		BillingMode: types.BillingModePayPerRequest,
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{IndexName: aws.String("by-year"),
			KeySchema: keys("artist", "year"), Projection: &types.Projection{ProjectionType: "ALL"}}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("by-genre"),
			KeySchema: keys("genre", "year"), Projection: &types.Projection{ProjectionType: "KEYS_ONLY"}}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: "NEW_AND_OLD_IMAGES"},
	}))
	waiter := dynamodb.NewTableExistsWaiter(s.client)
	err := waiter.Wait(s.ctx, &dynamodb.DescribeTableInput{TableName: s.table}, time.Minute)
	check(err == nil, fmt.Sprint(err))
}

func (s scene) put(one item) {
	must(s.client.PutItem(s.ctx, &dynamodb.PutItemInput{TableName: s.table, Item: must(attributevalue.MarshalMap(one))}))
}

func (s scene) get(one item) (found item) {
	told := must(s.client.GetItem(s.ctx, &dynamodb.GetItemInput{TableName: s.table, Key: one.key(), ConsistentRead: aws.Bool(true)}))
	check(attributevalue.UnmarshalMap(told.Item, &found) == nil, "no such structure")
	return found
}

func (s scene) types() {
	one := item{
		Artist: "Björk 🎻", Song: "Jóga", Year: 1997, Digits: digits, Bytes: []byte{0, 255},
		List: []any{1.0, "two", nil, map[string]any{"three": []any{}}},
		Map:  map[string]map[string]bool{"ü": {"deep": true}}, Names: []string{"a", "b"},
		Numbers: []float64{1, 2.5},
	}
	s.put(one)
	check(reflect.DeepEqual(s.get(one), one), fmt.Sprintf("an item differs: %v %v", s.get(one), one))
	must(s.client.DeleteItem(s.ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: one.key()}))
	one.Digits = "1E+126"
	_, err := s.client.PutItem(s.ctx, &dynamodb.PutItemInput{TableName: s.table, Item: must(attributevalue.MarshalMap(one))})
	check(code(err) == "ValidationException", "no such number: "+code(err))
}

func (s scene) update(one item, update expression.UpdateBuilder, condition expression.ConditionBuilder) (item, error) {
	built := must(expression.NewBuilder().WithUpdate(update).WithCondition(condition).Build())
	told, err := s.client.UpdateItem(s.ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: one.key(), UpdateExpression: built.Update(), ConditionExpression: built.Condition(),
		ExpressionAttributeNames: built.Names(), ExpressionAttributeValues: built.Values(), ReturnValues: "ALL_NEW",
		ReturnValuesOnConditionCheckFailure: "ALL_OLD",
	})
	var found item
	if err == nil {
		check(attributevalue.UnmarshalMap(told.Attributes, &found) == nil, "no such structure")
	}
	return found, err
}

func (s scene) conditions() {
	nina := item{Artist: "Nina", Song: "Feeling Good", Plays: 1, List: []any{"a"}}
	isNew := must(expression.NewBuilder().WithCondition(expression.AttributeNotExists(expression.Name("song"))).Build())
	for _, wanted := range []string{"<nil>", "ConditionalCheckFailedException"} {
		_, err := s.client.PutItem(s.ctx, &dynamodb.PutItemInput{
			TableName: s.table, Item: must(attributevalue.MarshalMap(nina)),
			ConditionExpression: isNew.Condition(), ExpressionAttributeNames: isNew.Names(),
		})
		check(code(err) == wanted, code(err))
	}
	plays, list := expression.Name("plays"), expression.Name("list")
	more := expression.Set(list, expression.ListAppend(list, expression.Value([]string{"b"}))).Add(plays, expression.Value(1))
	changed := must(s.update(nina, more, plays.Between(expression.Value(1), expression.Value(5)).And(expression.Not(list.Contains("b")))))
	check(changed.Plays == 2 && reflect.DeepEqual(changed.List, []any{"a", "b"}), fmt.Sprint(changed))
	_, err := s.update(nina, more, plays.GreaterThan(expression.Value(100)).Or(list.AttributeNotExists()))
	var failed *types.ConditionalCheckFailedException
	check(errors.As(err, &failed) && failed.Item["plays"].(*types.AttributeValueMemberN).Value == "2", code(err))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				must(s.update(nina, expression.Add(plays, expression.Value(1)), list.AttributeExists()))
			}
		})
	}
	all.Wait()
	check(s.get(nina).Plays == 42, "turns are lost")
	must(s.client.DeleteItem(s.ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: nina.key()}))
}

func row(number int) item {
	return item{Artist: fmt.Sprintf("a%d", number%4), Song: fmt.Sprintf("s%03d", number), Year: 1900 + number, Genre: []string{"even", "odd"}[number%2]}
}

func (s scene) query(index *string, condition expression.KeyConditionBuilder, forward bool) (found []item) {
	built := must(expression.NewBuilder().WithKeyCondition(condition).Build())
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName: s.table, IndexName: index, KeyConditionExpression: built.KeyCondition(), Limit: aws.Int32(7),
		ExpressionAttributeNames: built.Names(), ExpressionAttributeValues: built.Values(), ScanIndexForward: &forward,
	})
	for pages.HasMorePages() {
		var some []item
		check(attributevalue.UnmarshalListOfMaps(must(pages.NextPage(s.ctx)).Items, &some) == nil, "no such structures")
		found = append(found, some...)
	}
	return found
}

func years(items []item) (found []int) {
	for _, each := range items {
		found = append(found, each.Year-1900)
	}
	return found
}

func (s scene) many() {
	var wanted []map[string]types.AttributeValue
	for begin := 0; begin < 100; begin += 25 {
		var puts []types.WriteRequest
		for number := begin; number < begin+25; number++ {
			puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: must(attributevalue.MarshalMap(row(number)))}})
			wanted = append(wanted, row(number).key())
		}
		left := must(s.client.BatchWriteItem(s.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{*s.table: puts}}))
		check(len(left.UnprocessedItems) == 0, "a batch is left")
	}
	found := s.query(nil, expression.Key("artist").Equal(expression.Value("a1")).And(expression.Key("song").BeginsWith("s09")), false)
	check(reflect.DeepEqual(years(found), []int{97, 93}), fmt.Sprint(found))
	found = s.query(aws.String("by-year"), expression.Key("artist").Equal(expression.Value("a2")).And(expression.Key("year").LessThan(expression.Value(1911))), true)
	check(reflect.DeepEqual(years(found), []int{2, 6, 10}), fmt.Sprint(found))
	found = s.query(aws.String("by-genre"), expression.Key("genre").Equal(expression.Value("odd")), true)
	check(len(found) == 50 && found[49].Year == 1999 && found[0].Plays == 0, fmt.Sprint(found))
	seen := map[string]bool{}
	for segment := range int32(3) {
		pages := dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{TableName: s.table, Segment: &segment, TotalSegments: aws.Int32(3), Limit: aws.Int32(11)})
		for pages.HasMorePages() {
			var some []item
			check(attributevalue.UnmarshalListOfMaps(must(pages.NextPage(s.ctx)).Items, &some) == nil, "no such structures")
			for _, each := range some {
				check(!seen[each.Song], "an item is in two segments")
				seen[each.Song] = true
			}
		}
	}
	check(len(seen) == 100, fmt.Sprint(len(seen)))
	got := must(s.client.BatchGetItem(s.ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{*s.table: {Keys: wanted}}}))
	check(len(got.Responses[*s.table]) == 100, "a batch is not whole")
}

func (s scene) transact(genre string) error {
	one := must(attributevalue.MarshalMap(item{Artist: "t", Song: "1", Plays: 5}))
	add := must(expression.NewBuilder().WithUpdate(expression.Add(expression.Name("plays"), expression.Value(5))).Build())
	is := must(expression.NewBuilder().WithCondition(expression.Name("genre").Equal(expression.Value(genre))).Build())
	_, err := s.client.TransactWriteItems(s.ctx, &dynamodb.TransactWriteItemsInput{
		ClientRequestToken: aws.String(*s.table + genre),
		TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: s.table, Item: one}},
			{Update: &types.Update{TableName: s.table, Key: item{Artist: "t", Song: "2"}.key(), UpdateExpression: add.Update(),
				ExpressionAttributeNames: add.Names(), ExpressionAttributeValues: add.Values()}},
			{ConditionCheck: &types.ConditionCheck{TableName: s.table, Key: row(0).key(), ConditionExpression: is.Condition(),
				ExpressionAttributeNames: is.Names(), ExpressionAttributeValues: is.Values()}},
		},
	})
	return err
}

func (s scene) transactions() {
	for range 2 { // the second says what the first did
		err := s.transact("even")
		check(err == nil, fmt.Sprint(err))
	}
	var gets []types.TransactGetItem
	for _, song := range []string{"1", "2"} {
		gets = append(gets, types.TransactGetItem{Get: &types.Get{TableName: s.table, Key: item{Artist: "t", Song: song}.key()}})
	}
	for _, each := range must(s.client.TransactGetItems(s.ctx, &dynamodb.TransactGetItemsInput{TransactItems: gets})).Responses {
		check(each.Item["plays"].(*types.AttributeValueMemberN).Value == "5", "done twice or not at all")
	}
	var cancelled *types.TransactionCanceledException
	check(errors.As(s.transact("odd"), &cancelled), "not cancelled")
	check(*cancelled.CancellationReasons[0].Code == "None" && *cancelled.CancellationReasons[2].Code == "ConditionalCheckFailed", fmt.Sprint(cancelled))
}

func (s scene) statements() {
	statement := fmt.Sprintf("SELECT plays FROM \"%s\" WHERE artist = ? AND song = ?", *s.table)
	told := must(s.client.ExecuteStatement(s.ctx, &dynamodb.ExecuteStatementInput{Statement: &statement, Parameters: must(attributevalue.MarshalList([]string{"t", "1"}))}))
	check(len(told.Items) == 1 && len(told.Items[0]) == 1, fmt.Sprint(told.Items))
}

func (s scene) changes(streams *dynamodbstreams.Client) {
	arn := must(s.client.DescribeTable(s.ctx, &dynamodb.DescribeTableInput{TableName: s.table})).Table.LatestStreamArn
	told := must(streams.DescribeStream(s.ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: arn})).StreamDescription
	var names []string
	for _, shard := range told.Shards {
		at := must(streams.GetShardIterator(s.ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: arn, ShardId: shard.ShardId, ShardIteratorType: "TRIM_HORIZON"})).ShardIterator
		for at != nil {
			page := must(streams.GetRecords(s.ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(50)}))
			if len(page.Records) == 0 {
				break
			}
			for _, record := range page.Records {
				var one struct {
					Song string `dynamodbav:"song"`
				}
				check(attributevalue.UnmarshalMap(must(attributevalue.FromDynamoDBStreamsMap(record.Dynamodb.Keys)), &one) == nil, "no key")
				if one.Song == "Feeling Good" {
					names = append(names, string(record.EventName))
				}
			}
			at = page.NextShardIterator
		}
	}
	check(len(names) == 43 && names[0] == "INSERT" && names[1] == "MODIFY" && names[42] == "REMOVE", fmt.Sprint(names))
}

func (s scene) expiry() {
	must(s.client.UpdateTimeToLive(s.ctx, &dynamodb.UpdateTimeToLiveInput{TableName: s.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{Enabled: aws.Bool(true), AttributeName: aws.String("until")}}))
	past := item{Artist: "short", Song: "1", Until: time.Now().Unix() - 1}
	s.put(past)
	for until := time.Now().Add(time.Minute); s.get(past).Artist != ""; time.Sleep(100 * time.Millisecond) {
		check(time.Now().Before(until), "an expired item stays")
	}
}
