import com.amazonaws.services.dynamodbv2.AcquireLockOptions;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBLockClient;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBLockClientOptions;
import com.amazonaws.services.dynamodbv2.CreateDynamoDBTableOptions;
import com.amazonaws.services.dynamodbv2.LockItem;
import com.amazonaws.services.dynamodbv2.model.LockNotGrantedException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.ProvisionedThroughput;

/** AWS's own lock client: owners who take turns by a lock in a table. */
public final class Locks {
  private static final int OWNERS = 4;
  private static final int TURNS = 5;
  private static int counted;

  private static AmazonDynamoDBLockClient client(DynamoDbClient low, String table, String owner) {
    return new AmazonDynamoDBLockClient(AmazonDynamoDBLockClientOptions.builder(low, table)
        .withTimeUnit(TimeUnit.MILLISECONDS).withLeaseDuration(2_000L).withHeartbeatPeriod(200L)
        .withOwnerName(owner).withCreateHeartbeatBackgroundThread(true).build());
  }

  private static AcquireLockOptions asking(String key, long waitMs) {
    return AcquireLockOptions.builder(key).withAdditionalTimeToWaitForLock(waitMs).withRefreshPeriod(50L)
        .withTimeUnit(TimeUnit.MILLISECONDS).withData(ByteBuffer.wrap(new byte[] {0, 1})).withDeleteLockOnRelease(true).build();
  }

  private static void check(boolean holds, String told) {
    if (!holds) throw new AssertionError(told);
  }

  /** Runs the scene. Argument: what its table is called by. */
  public static void main(String[] arguments) throws Exception {
    DynamoDbClient low = DynamoDbClient.create();
    String table = arguments[0];
    ProvisionedThroughput units = ProvisionedThroughput.builder().readCapacityUnits(500L).writeCapacityUnits(500L).build();
    AmazonDynamoDBLockClient.createLockTableInDynamoDB(CreateDynamoDBTableOptions.builder(low, units, table).build());
    low.waiter().waitUntilTableExists(b -> b.tableName(table));
    turns(low, table);
    one(low, table);
  }

  /** Reads a number and writes it back raised, under the lock alone. */
  private static void turns(DynamoDbClient low, String table) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(OWNERS);
    List<Future<?>> working = new ArrayList<>();
    for (int owner = 0; owner < OWNERS; owner++) {
      String name = "owner-" + owner;
      working.add(pool.submit(() -> {
        try (AmazonDynamoDBLockClient mine = client(low, table, name)) {
          for (int turn = 0; turn < TURNS; turn++) {
            try (LockItem held = mine.acquireLock(asking("turn", 60_000L))) {
              int before = counted;
              Thread.sleep(5); // others have the time to come between
              counted = before + 1;
            }
          }
        }
        return null;
      }));
    }
    for (Future<?> each : working) each.get();
    pool.shutdown();
    check(counted == OWNERS * TURNS, "turns are lost: " + counted);
    check(low.scan(b -> b.tableName(table)).count() == 0, "a lock that was let go is there");
  }

  /** Whose owner beats is not taken; whose owner is gone is, once its lease is over. */
  private static void one(DynamoDbClient low, String table) throws Exception {
    try (AmazonDynamoDBLockClient second = client(low, table, "second")) {
      try (AmazonDynamoDBLockClient first = client(low, table, "first")) {
        first.acquireLock(asking("kept", 1_000L));
        check(second.tryAcquireLock(asking("kept", 1_000L)).isEmpty(), "two hold one lock");
      }
      check(second.tryAcquireLock(asking("kept", 1_000L)).isPresent(), "closed, it holds its locks");
      AmazonDynamoDBLockClient silent = new AmazonDynamoDBLockClient(AmazonDynamoDBLockClientOptions.builder(low, table)
          .withTimeUnit(TimeUnit.MILLISECONDS).withLeaseDuration(2_000L).withHeartbeatPeriod(200L)
          .withOwnerName("silent").withCreateHeartbeatBackgroundThread(false).build());
      LockItem lost = silent.acquireLock(asking("lost", 1_000L));
      Optional<LockItem> taken = second.tryAcquireLock(asking("lost", 30_000L));
      check(taken.isPresent() && taken.get().getOwnerName().equals("second"), "a lock of nobody is kept");
      try {
        silent.sendHeartbeat(lost);
        throw new AssertionError("who lost a lock beats");
      } catch (LockNotGrantedException refused) {
        check(second.releaseLock(taken.get()), "it is not let go");
      }
    }
  }
}
