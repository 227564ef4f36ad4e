package main

import (
	"context"
	_ "embed"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

const file = "grpcbin.proto"

//go:embed grpcbin.proto
var source string

// load compiles the embedded .proto, and registers it where server reflection looks.
func load() (protoreflect.ServiceDescriptor, error) {
	sources := protocompile.SourceAccessorFromMap(map[string]string{file: source})
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{Accessor: sources}}
	compiled, err := compiler.Compile(context.Background(), file)
	if err != nil {
		return nil, err
	}
	if err := protoregistry.GlobalFiles.RegisterFile(compiled[0]); err != nil {
		return nil, err
	}
	return compiled[0].Services().ByName("GRPCBin"), nil
}

// describe is what generated code would hold: each method with its handler.
func describe(service protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{
		ServiceName: string(service.FullName()),
		HandlerType: (*any)(nil),
		Metadata:    file,
	}
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		name := string(method.Name())
		if streaming(method) {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName:    name,
				Handler:       streamHandler(method),
				ClientStreams: method.IsStreamingClient(),
				ServerStreams: method.IsStreamingServer(),
			})
		} else {
			desc.Methods = append(desc.Methods, grpc.MethodDesc{
				MethodName: name, Handler: unaryHandler(method),
			})
		}
	}
	return desc
}

func streaming(method protoreflect.MethodDescriptor) bool {
	return method.IsStreamingClient() || method.IsStreamingServer()
}

func unaryHandler(method protoreflect.MethodDescriptor) grpc.MethodHandler {
	answer := unary[method.Name()]
	path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	return func(
		_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor,
	) (any, error) {
		in := dynamicpb.NewMessage(method.Input())
		if err := decode(in); err != nil {
			return nil, err
		}
		info := &grpc.UnaryServerInfo{FullMethod: path}
		return intercept(ctx, in, info, func(ctx context.Context, _ any) (any, error) {
			return answer(call{ctx, method, in})
		})
	}
}

func streamHandler(method protoreflect.MethodDescriptor) grpc.StreamHandler {
	answer := streams[method.Name()]
	return func(_ any, stream grpc.ServerStream) error {
		return answer(conversation{stream, method})
	}
}

// call is one unary call, with its request.
type call struct {
	ctx    context.Context
	method protoreflect.MethodDescriptor
	in     *dynamicpb.Message
}

func (c call) get(name protoreflect.Name) protoreflect.Value {
	return c.in.Get(c.method.Input().Fields().ByName(name))
}

// reply is an empty message of the method's answer.
func (c call) reply() *dynamicpb.Message {
	return dynamicpb.NewMessage(c.method.Output())
}

// conversation is one streaming call.
type conversation struct {
	grpc.ServerStream
	method protoreflect.MethodDescriptor
}

func (c conversation) receive() (proto.Message, error) {
	in := dynamicpb.NewMessage(c.method.Input())
	err := c.RecvMsg(in)
	return in, err
}
