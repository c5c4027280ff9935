# frozen_string_literal: true

# Runs a Ruby handler as AWS's runtime does: asks the Runtime API for events and answers them.
#
# Rule: names, messages and shapes are those of AWS's own runtime interface client (aws_lambda_ric),
# because people match on them. All of this shares the process with user code and can be forged by it;
# nothing here decides about limits or identity.
#
# Source: Lambda Developer Guide, "Define Lambda function handler in Ruby", "Using the Lambda context
# object to retrieve Ruby function information", "Using the Lambda runtime API for custom runtimes".

require 'json'
require 'net/http'

# What a handler is told of its invocation.
class LambdaContext
  attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name,
              :function_name, :memory_limit_in_mb, :function_version, :identity,
              :client_context, :deadline_ms

  def initialize(headers)
    @aws_request_id = headers['Lambda-Runtime-Aws-Request-Id']
    @invoked_function_arn = headers['Lambda-Runtime-Invoked-Function-Arn']
    @deadline_ms = headers['Lambda-Runtime-Deadline-Ms'].to_i
    @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
    @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
    @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
    @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
    @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
    @identity = parsed(headers['Lambda-Runtime-Cognito-Identity'])
    @client_context = parsed(headers['Lambda-Runtime-Client-Context'])
  end

  def get_remaining_time_in_millis
    [@deadline_ms - (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i, 0].max
  end

  private

  def parsed(text)
    JSON.parse(text) if text
  end
end

module Fogbank
  VERSION = '/2018-06-01/runtime/'
  TRACE_LINES_MAX = 100
  # AWS: these are told to the caller, and end the process all the same.
  FATAL = [NameError, ScriptError, NoMemoryError, SecurityError, SystemExit, SystemStackError].freeze

  # An error as Lambda sends it to the caller; `where` is `Function`, `Init` or `Runtime`.
  def self.error_of(error, where)
    trace = (error.backtrace || []).take_while { |line| !line.start_with?(__FILE__) }
    {
      errorMessage: error.message,
      errorType: "#{where}<#{error.class}>",
      stackTrace: trace.first(TRACE_LINES_MAX)
    }
  end

  # Speaks with the platform on one connection.
  class Platform
    def initialize
      host, port = ENV.fetch('AWS_LAMBDA_RUNTIME_API').split(':')
      @connection = Net::HTTP.new(host, port.to_i, nil)
      @connection.read_timeout = nil
      @connection.keep_alive_timeout = 3600
      @connection.start
    end

    def next_event
      @connection.get("#{VERSION}invocation/next")
    end

    def respond(id, body)
      reply = @connection.post("#{VERSION}invocation/#{id}/response", body, json)
      warn "The response was refused: #{reply.body}" unless reply.is_a?(Net::HTTPSuccess)
    end

    def fail(path, error)
      warn JSON.generate(error)
      more = { 'Lambda-Runtime-Function-Error-Type' => error[:errorType] }
      @connection.post("#{VERSION}#{path}/error", JSON.generate(error), json.merge(more))
    end

    private

    def json
      { 'Content-Type' => 'application/json' }
    end
  end

  # Load what `file.method` or `file.Class.method` names; return what is to be called.
  def self.handler_of(name)
    file, *scope, method = name.split('.')
    unless method && scope.size <= 1
      raise ArgumentError, "Invalid handler #{name}, must be of form FILENAME.METHOD or " \
                           'FILENAME.CLASS.METHOD where FILENAME corresponds with an existing Ruby ' \
                           'source file FILENAME.rb, CLASS is an optional module/class namespace and ' \
                           'METHOD is a callable method. If using CLASS, METHOD must be a ' \
                           'class-level method.'
    end
    Kernel.require(File.join(ENV.fetch('LAMBDA_TASK_ROOT'), file))
    receiver = scope.empty? ? TOPLEVEL_BINDING.receiver : Kernel.const_get(scope.first)
    ->(event, context) { receiver.send(method, event: event, context: context) }
  end

  def self.serve(platform, handler)
    reply = platform.next_event
    id = reply['Lambda-Runtime-Aws-Request-Id']
    ENV['_X_AMZN_TRACE_ID'] = reply['Lambda-Runtime-Trace-Id']
    body = JSON.generate(handler.call(JSON.parse(reply.body), LambdaContext.new(reply)))
    platform.respond(id, body)
  rescue StandardError, *FATAL => e
    raise unless id

    platform.fail("invocation/#{id}", error_of(e, 'Function'))
    exit!(1) if FATAL.any? { |kind| e.is_a?(kind) }
  end

  def self.run
    $stdout.sync = $stderr.sync = true
    platform = Platform.new
    begin
      handler = handler_of(ENV.fetch('_HANDLER'))
    rescue StandardError, *FATAL => e
      platform.fail('init', error_of(e, 'Init'))
      exit!(1)
    end
    loop { serve(platform, handler) }
  end
end

Fogbank.run
