package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	many  = 10 // messages of a stream, as the original has it
	pause = time.Second
)

var unary = map[protoreflect.Name]func(call) (any, error){
	"Index":           index,
	"Empty":           func(c call) (any, error) { return c.reply(), nil },
	"DummyUnary":      func(c call) (any, error) { return c.in, nil },
	"HeadersUnary":    headers,
	"SpecificError":   specificError,
	"RandomError":     randomError,
	"NoResponseUnary": func(call) (any, error) { return nil, nil },
}

var streams = map[protoreflect.Name]func(conversation) error{
	"DummyServerStream":              serverStream,
	"DummyClientStream":              clientStream,
	"DummyBidirectionalStreamStream": bothStreams,
}

func index(c call) (any, error) {
	out := c.reply()
	fields := out.Descriptor().Fields()
	out.Set(fields.ByName("description"), protoreflect.ValueOfString("gRPC testing server"))
	endpoints := out.Mutable(fields.ByName("endpoints")).List()
	methods := c.method.Parent().(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		if streaming(methods.Get(i)) {
			continue // the original names the unary ones only
		}
		endpoint := endpoints.AppendMutable().Message()
		path := endpoint.Descriptor().Fields().ByName("path")
		endpoint.Set(path, protoreflect.ValueOfString(string(methods.Get(i).Name())))
	}
	return out, nil
}

func headers(c call) (any, error) {
	out := c.reply()
	told := out.Mutable(out.Descriptor().Fields().ByName("Metadata")).Map()
	sent, _ := metadata.FromIncomingContext(c.ctx)
	for key, values := range sent {
		entry := told.Mutable(protoreflect.ValueOfString(key).MapKey()).Message()
		list := entry.Mutable(entry.Descriptor().Fields().ByName("values")).List()
		for _, value := range values {
			list.Append(protoreflect.ValueOfString(value))
		}
	}
	return out, nil
}

func specificError(c call) (any, error) {
	code := codes.Code(c.get("code").Uint())
	reason := c.get("reason").String()
	if reason == "" {
		reason = code.String()
	}
	return c.reply(), status.Error(code, reason)
}

func randomError(c call) (any, error) {
	code := codes.Code(rand.Uint32N(16))
	return c.reply(), status.Error(code, code.String())
}

func serverStream(c conversation) error {
	in, err := c.receive()
	if err != nil {
		return err
	}
	for range many {
		if err := c.SendMsg(in); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-c.Context().Done():
			return status.FromContextError(c.Context().Err()).Err()
		}
	}
	return nil
}

func clientStream(c conversation) error {
	var last proto.Message = dynamicpb.NewMessage(c.method.Output())
	for range many {
		in, err := c.receive()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		last = in
	}
	return c.SendMsg(last)
}

func bothStreams(c conversation) error {
	for {
		in, err := c.receive()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.SendMsg(in); err != nil {
			return err
		}
	}
}
