package field;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;

/** Functions in Java, started by AWS's client: plain objects, and streams. */
public class App {
  /** What an event asks for. */
  public static class Event {
    private String todo;
    private Object value;

    public String getDo() { return todo; }
    public void setDo(String given) { todo = given; }
    public Object getValue() { return value; }
    public void setValue(Object given) { value = given; }
  }

  /** What is answered. */
  public record Answer(Object value, String id, String arn) {
    public Object getValue() { return value; }
    public String getId() { return id; }
    public String getArn() { return arn; }
  }

  public Answer handle(Event event, Context context) throws InterruptedException {
    context.getLogger().log("java was asked to " + event.getDo());
    if ("fail".equals(event.getDo())) throw new IllegalStateException("no");
    if ("sleep".equals(event.getDo())) Thread.sleep(60_000);
    if ("memory".equals(event.getDo())) {
      List<byte[]> kept = new ArrayList<>();
      while (true) kept.add(new byte[1 << 20]);
    }
    return new Answer(event.getValue(), context.getAwsRequestId(), context.getInvokedFunctionArn());
  }

  /** Gives back what it is given. */
  public static class Copy implements RequestStreamHandler {
    @Override
    public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
      in.transferTo(out);
    }
  }
}
