// A function in Go, with AWS's library: what its event asks for.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do    string `json:"do"`
	Value any    `json:"value"`
}

type answer struct {
	Value any    `json:"value"`
	Id    string `json:"id"`
	Arn   string `json:"arn"`
}

func handle(ctx context.Context, given event) (answer, error) {
	about, _ := lambdacontext.FromContext(ctx)
	switch given.Do {
	case "fail":
		return answer{}, errors.New("no")
	case "sleep":
		time.Sleep(time.Minute)
	case "memory":
		var kept [][]byte
		for {
			piece := make([]byte, 1<<20)
			for at := range piece {
				piece[at] = 1
			}
			kept = append(kept, piece)
		}
	}
	return answer{given.Value, about.AwsRequestID, about.InvokedFunctionArn}, nil
}

func main() { lambda.Start(handle) }
