import java.math.BigDecimal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.enhanced.dynamodb.*;
import software.amazon.awssdk.enhanced.dynamodb.extensions.annotations.*;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.*;
import software.amazon.awssdk.enhanced.dynamodb.model.*;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.ProjectionType;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;

/** The scene of all SDKs, through the enhanced client of the AWS SDK for Java 2; see ../go/dynamodb/main.go. */
public final class DynamoDb {
  private static final int THREADS = 4;
  private static final int TURNS = 10;
  private final DynamoDbClient client = DynamoDbClient.create();
  private final DynamoDbEnhancedClient enhanced = DynamoDbEnhancedClient.builder().dynamoDbClient(client).build();
  private final DynamoDbTable<Song> songs;

  /** An item. */
  @DynamoDbBean
  public static class Song {
    private String artist;
    private String song;
    private Integer year;
    private String genre;
    private BigDecimal digits;
    private SdkBytes bytes;
    private Set<String> names;
    private List<String> list;
    private Map<String, Map<String, Boolean>> map;
    private Instant at;
    private Long version;
    private Integer plays;

    @DynamoDbPartitionKey
    public String getArtist() { return artist; }
    public void setArtist(String value) { artist = value; }
    @DynamoDbSortKey
    public String getSong() { return song; }
    public void setSong(String value) { song = value; }
    @DynamoDbSecondarySortKey(indexNames = {"by-genre", "by-year"})
    public Integer getYear() { return year; }
    public void setYear(Integer value) { year = value; }
    @DynamoDbSecondaryPartitionKey(indexNames = "by-genre")
    public String getGenre() { return genre; }
    public void setGenre(String value) { genre = value; }
    public BigDecimal getDigits() { return digits; }
    public void setDigits(BigDecimal value) { digits = value; }
    public SdkBytes getBytes() { return bytes; }
    public void setBytes(SdkBytes value) { bytes = value; }
    public Set<String> getNames() { return names; }
    public void setNames(Set<String> value) { names = value; }
    public List<String> getList() { return list; }
    public void setList(List<String> value) { list = value; }
    public Map<String, Map<String, Boolean>> getMap() { return map; }
    public void setMap(Map<String, Map<String, Boolean>> value) { map = value; }
    public Instant getAt() { return at; }
    public void setAt(Instant value) { at = value; }
    @DynamoDbVersionAttribute
    public Long getVersion() { return version; }
    public void setVersion(Long value) { version = value; }
    @DynamoDbAtomicCounter(delta = 1, startValue = 0)
    public Integer getPlays() { return plays; }
    public void setPlays(Integer value) { plays = value; }
  }

  private DynamoDb(String table) {
    songs = enhanced.table(table, TableSchema.fromBean(Song.class));
  }

  /** Runs the scene. Argument: what its table is called by. */
  public static void main(String[] arguments) throws Exception {
    DynamoDb scene = new DynamoDb(arguments[0]);
    scene.create();
    scene.types();
    scene.versions();
    scene.many();
    scene.transactions();
    scene.changes();
    scene.songs.deleteTable();
    scene.client.waiter().waitUntilTableNotExists(b -> b.tableName(arguments[0]));
  }

  private static void check(boolean holds, String told) {
    if (!holds) throw new AssertionError(told);
  }

  private static Song song(String artist, String name) {
    Song made = new Song();
    made.setArtist(artist);
    made.setSong(name);
    return made;
  }

  private static Key key(String artist, String name) {
    return Key.builder().partitionValue(artist).sortValue(name).build();
  }

  private static AttributeValue number(int value) {
    return AttributeValue.fromN(Integer.toString(value));
  }

  private void create() {
    songs.createTable(b -> b
        .globalSecondaryIndices(EnhancedGlobalSecondaryIndex.builder().indexName("by-genre").projection(p -> p.projectionType(ProjectionType.ALL)).build())
        .localSecondaryIndices(EnhancedLocalSecondaryIndex.create("by-year", software.amazon.awssdk.services.dynamodb.model.Projection.builder().projectionType(ProjectionType.ALL).build()))
        .streamSpecification(s -> s.streamEnabled(true).streamViewType("NEW_AND_OLD_IMAGES")));
    client.waiter().waitUntilTableExists(b -> b.tableName(songs.tableName()));
  }

  private void types() {
    Song one = song("Björk 🎻", "Jóga");
    one.setDigits(new BigDecimal("12345678901234567890.123456789012345678"));
    one.setBytes(SdkBytes.fromByteArray(new byte[] {0, -1}));
    one.setNames(Set.of("a", "b"));
    one.setList(List.of("x", "", "z"));
    one.setMap(Map.of("ü", Map.of("deep", true)));
    one.setAt(Instant.ofEpochSecond(1_600_000_000, 123));
    songs.putItem(one);
    Song back = songs.getItem(b -> b.key(key(one.getArtist(), one.getSong())).consistentRead(true));
    check(back.getDigits().equals(one.getDigits()) && back.getBytes().equals(one.getBytes()), "values differ");
    check(back.getNames().equals(one.getNames()) && back.getList().equals(one.getList()), "collections differ");
    check(back.getMap().equals(one.getMap()) && back.getAt().equals(one.getAt()), "a map or a time differs");
    check(back.getVersion() == 1 && back.getPlays() == 0, "a version or a counter differs");
    songs.deleteItem(back);
    check(songs.getItem(back) == null, "a deleted item is there");
  }

  /** Several threads on one item: whoever is behind reads again, so that no turn is lost. */
  private void versions() throws Exception {
    songs.putItem(song("contended", "one"));
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    List<Future<?>> working = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      working.add(pool.submit(() -> {
        for (int turn = 0; turn < TURNS; ) {
          Song mine = songs.getItem(b -> b.key(key("contended", "one")).consistentRead(true));
          try {
            songs.updateItem(mine);
            turn++;
          } catch (ConditionalCheckFailedException behind) {
            // Again.
          }
        }
      }));
    }
    for (Future<?> each : working) each.get();
    pool.shutdown();
    Song last = songs.getItem(key("contended", "one"));
    check(last.getVersion() == THREADS * TURNS + 1 && last.getPlays() == THREADS * TURNS, "turns are lost: " + last.getVersion());
    Expression few = Expression.builder().expression("plays < :few").putExpressionValue(":few", number(3)).build();
    try {
      songs.deleteItem(DeleteItemEnhancedRequest.builder().key(key("contended", "one")).conditionExpression(few)
          .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD).build());
      throw new AssertionError("deleted against its condition");
    } catch (ConditionalCheckFailedException refused) {
      check(refused.item().get("plays").n().equals("40"), "another item is told");
    }
  }

  private static Song row(int number) {
    Song made = song("a" + number % 4, String.format("s%03d", number));
    made.setYear(1900 + number);
    made.setGenre(number % 2 == 0 ? "even" : "odd");
    return made;
  }

  private static List<Integer> years(Iterable<Page<Song>> pages) {
    List<Integer> found = new ArrayList<>();
    pages.forEach(page -> page.items().forEach(each -> found.add(each.getYear())));
    return found;
  }

  private void many() {
    // Versions make conditions, which batches have none of.
    DynamoDbEnhancedClient plain = DynamoDbEnhancedClient.builder().dynamoDbClient(client).extensions(List.of()).build();
    DynamoDbTable<Song> rows = plain.table(songs.tableName(), songs.tableSchema());
    for (int begin = 0; begin < 100; begin += 25) {
      WriteBatch.Builder<Song> batch = WriteBatch.builder(Song.class).mappedTableResource(rows);
      IntStream.range(begin, begin + 25).forEach(number -> batch.addPutItem(row(number)));
      BatchWriteResult done = plain.batchWriteItem(b -> b.addWriteBatch(batch.build()));
      check(done.unprocessedPutItemsForTable(rows).isEmpty(), "a batch is left");
    }
    QueryConditional begins = QueryConditional.sortBeginsWith(b -> b.partitionValue("a1").sortValue("s09"));
    check(years(songs.query(b -> b.queryConditional(begins).scanIndexForward(false))).equals(List.of(1997, 1993)), "a query differs");
    QueryConditional until = QueryConditional.sortLessThanOrEqualTo(b -> b.partitionValue("a2").sortValue(1910));
    check(years(songs.index("by-year").query(b -> b.queryConditional(until).consistentRead(true))).equals(List.of(1902, 1906, 1910)), "a local index differs");
    QueryConditional odd = QueryConditional.keyEqualTo(b -> b.partitionValue("odd"));
    List<Integer> wanted = IntStream.range(0, 50).mapToObj(at -> 1901 + 2 * at).toList();
    check(years(songs.index("by-genre").query(b -> b.queryConditional(odd).limit(7))).equals(wanted), "a global index differs");
    Expression late = Expression.builder().expression("#y >= :y").putExpressionName("#y", "year").putExpressionValue(":y", number(1950)).build();
    List<Integer> scanned = new ArrayList<>();
    for (int segment = 0; segment < 3; segment++) {
      int mine = segment;
      scanned.addAll(years(songs.scan(b -> b.segment(mine).totalSegments(3).limit(11).filterExpression(late))));
    }
    check(scanned.stream().sorted().toList().equals(IntStream.range(1950, 2000).boxed().toList()), "segments differ");
    ReadBatch.Builder<Song> read = ReadBatch.builder(Song.class).mappedTableResource(songs);
    IntStream.range(0, 100).forEach(number -> read.addGetItem(row(number)));
    check(enhanced.batchGetItem(b -> b.addReadBatch(read.build())).resultsForTable(songs).stream().count() == 100, "a batch differs");
  }

  private void transact(String genre) {
    Expression is = Expression.builder().expression("genre = :g").putExpressionValue(":g", AttributeValue.fromS(genre)).build();
    Song one = song("t", "1");
    one.setYear(5);
    enhanced.transactWriteItems(b -> b
        .clientRequestToken(songs.tableName() + genre)
        .addUpdateItem(songs, one)
        .addDeleteItem(songs, key("a1", "s001"))
        .addConditionCheck(songs, ConditionCheck.builder().key(key("a0", "s000")).conditionExpression(is).build()));
  }

  private void transactions() {
    transact("even");
    transact("even"); // says what the first did
    List<Document> found = enhanced.transactGetItems(b -> b.addGetItem(songs, key("t", "1")).addGetItem(songs, key("a1", "s001")));
    check(found.get(0).getItem(songs).getVersion() == 1 && found.get(1).getItem(songs) == null, "done twice or not at all");
    try {
      transact("odd");
      throw new AssertionError("not cancelled");
    } catch (TransactionCanceledException cancelled) {
      List<String> codes = cancelled.cancellationReasons().stream().map(each -> each.code()).toList();
      check(codes.get(0).equals("ConditionalCheckFailed") && codes.get(2).equals("ConditionalCheckFailed"), codes.toString());
    }
  }

  private void changes() throws Exception {
    DynamoDbStreamsClient streams = DynamoDbStreamsClient.create();
    String arn = songs.describeTable().table().latestStreamArn();
    List<String> names = new ArrayList<>();
    streams.describeStream(b -> b.streamArn(arn)).streamDescription().shards().forEach(shard -> {
      String at = streams.getShardIterator(b -> b.streamArn(arn).shardId(shard.shardId()).shardIteratorType("TRIM_HORIZON")).shardIterator();
      while (at != null) {
        String here = at;
        var page = streams.getRecords(b -> b.shardIterator(here).limit(50));
        page.records().stream().filter(each -> each.dynamodb().keys().get("artist").s().equals("contended"))
            .forEach(each -> names.add(each.eventNameAsString() + each.dynamodb().newImage().get("version").n()));
        at = page.records().isEmpty() ? null : page.nextShardIterator();
      }
    });
    check(names.get(0).equals("INSERT1") && names.get(THREADS * TURNS).equals("MODIFY41") && names.size() == 41, names.toString());
  }
}
