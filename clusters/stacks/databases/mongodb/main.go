// Command mongodb serves MongoDB's protocol at several ports, by FerretDB on SQLite in memory:
//
//	mongodb --ports PORTS
//
// It prints one line of JSON for each message that has a marker in it.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"

	"lab/databases/served"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	for _, port := range served.Flags().Ports {
		one, err := ferretdb.New(&ferretdb.Config{
			Listener:  ferretdb.ListenerConfig{TCP: fmt.Sprintf(":%d", port)},
			Handler:   "sqlite",
			SQLiteURL: "file:/tmp/?mode=memory",
			Logger:    slog.New(teller{port: port}),
		})
		if err != nil {
			log.Fatal(err)
		}
		go func() { log.Fatal(one.Run(context.Background())) }()
	}
	served.UntilEnded()
}

// teller reads FerretDB's own log, which has each message, and in the logger's name its connection:
// `// PEER -> ADDRESS `.
type teller struct {
	port int
	peer string
}

func (t teller) Enabled(context.Context, slog.Level) bool { return true }

func (t teller) Handle(_ context.Context, record slog.Record) error {
	if strings.HasPrefix(record.Message, "Request message") {
		served.Tell(t.port, t.peer, "mongodb", record.Message)
	}
	return nil
}

func (t teller) WithAttrs(attributes []slog.Attr) slog.Handler {
	for _, one := range attributes {
		text := one.Value.String()
		if name, is := strings.CutPrefix(text, "// "); is {
			t.peer, _, _ = strings.Cut(name, " -> ")
		}
	}
	return t
}

func (t teller) WithGroup(string) slog.Handler { return t }
