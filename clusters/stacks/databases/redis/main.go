// Command redis serves Redis' protocol at several ports, by miniredis:
//
//	redis --ports PORTS
//
// It prints one line of JSON for each command that has a marker in it.
package main

import (
	"fmt"
	"log"
	"strings"

	"lab/databases/served"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

func main() {
	for _, port := range served.Flags().Ports {
		redis := miniredis.NewMiniRedis()
		if err := redis.StartAddr(fmt.Sprintf(":%d", port)); err != nil {
			log.Fatal(err)
		}
		redis.Server().SetPreHook(func(_ *server.Peer, command string, args ...string) bool {
			served.Tell(port, "", "redis", command+" "+strings.Join(args, " "))
			return false // the command is still to be done
		})
	}
	served.UntilEnded()
}
