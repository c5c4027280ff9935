#!/bin/bash
# A custom runtime in nothing but bash: the Runtime API over /dev/tcp.
host=${AWS_LAMBDA_RUNTIME_API%%:*} port=${AWS_LAMBDA_RUNTIME_API##*:}
base=/2018-06-01/runtime/invocation
while true; do
  exec 5<>"/dev/tcp/$host/$port"
  printf 'GET %s/next HTTP/1.1\r\nHost: %s\r\n\r\n' "$base" "$AWS_LAMBDA_RUNTIME_API" >&5
  id='' size=0
  while IFS= read -r line <&5; do
    line=${line%$'\r'}
    [ -z "$line" ] && break
    case "$line" in
      Lambda-Runtime-Aws-Request-Id:*) id=${line#*: } ;;
      Content-Length:*) size=${line#*: } ;;
    esac
  done
  IFS= read -r -N "$size" event <&5
  echo "$_HANDLER got $event"
  answer="{\"event\": $event, \"uid\": $UID, \"cwd\": \"$PWD\"}"
  printf 'POST %s/%s/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
    "$base" "$id" "${#answer}" "$answer" >&5
  cat <&5 >/dev/null
  exec 5<&-
done
