// Command grpcbin serves grpcbin's published gRPC interface, in plaintext:
//
//	grpcbin PORT[,PORT...]
//
// It listens on each port, on all addresses, and prints one line of JSON for each call.
package main

import (
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: grpcbin PORT[,PORT...]")
	}
	service, err := load()
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(logUnary),
		grpc.StreamInterceptor(logStream),
		grpc.UnknownServiceHandler(unknown),
	)
	server.RegisterService(describe(service), nil)
	reflection.Register(server)
	for _, port := range strings.Split(os.Args[1], ",") {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			log.Fatal(err)
		}
		go func() { log.Fatal(server.Serve(listener)) }()
	}
	// The first process of a pod gets no signal that it has not asked for.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}
