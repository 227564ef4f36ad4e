package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// entry is the line that a call leaves on stdout.
type entry struct {
	Time      float64 `json:"time"`
	Method    string  `json:"method"`
	Peer      string  `json:"peer"`
	Code      string  `json:"code"`
	Authority string  `json:"authority"`
}

var printing sync.Mutex

// tell prints a call's line before its answer leaves: who has the answer finds the line.
func tell(ctx context.Context, method string, err error) {
	from := ""
	if caller, there := peer.FromContext(ctx); there {
		from = caller.Addr.String()
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	line := entry{
		Time:      float64(time.Now().UnixMicro()) / 1e6,
		Method:    method,
		Peer:      from,
		Code:      status.Code(err).String(),
		Authority: strings.Join(sent.Get(":authority"), ","),
	}
	printing.Lock()
	defer printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func logUnary(
	ctx context.Context, in any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	out, err := handle(ctx, in)
	tell(ctx, info.FullMethod, err)
	return out, err
}

func logStream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	err := handle(server, stream)
	tell(stream.Context(), info.FullMethod, err)
	return err
}

// unknown answers what no service has, so that such a call leaves its line too.
func unknown(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}
