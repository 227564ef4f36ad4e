// Command mysql serves MySQL's protocol at several ports, by go-mysql-server:
//
//	mysql --ports PORTS --cert FILE --key FILE
//
// It offers TLS, and demands none. It prints one line of JSON for each query with a marker in it.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"

	"lab/databases/served"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.SetLevel(logrus.ErrorLevel)
	options := served.Flags()
	certificate, err := tls.LoadX509KeyPair(options.Cert, options.Key)
	if err != nil {
		log.Fatal(err)
	}
	for _, port := range options.Ports {
		// An engine lists what runs by the numbers of connections, which each listener begins at one.
		provider := memory.NewDBProvider(memory.NewDatabase("lab"))
		engine := sqle.NewDefault(provider)
		config := server.Config{
			Protocol:  "tcp",
			Address:   fmt.Sprintf(":%d", port),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		}
		sessions := memory.NewSessionBuilder(provider)
		telling := func(inner mysql.Handler) (mysql.Handler, error) { return teller{inner, port}, nil }
		one, err := server.NewServerWithHandler(config, engine, sql.NewContext, sessions, nil, telling)
		if err != nil {
			log.Fatal(err)
		}
		go func() { log.Fatal(one.Start()) }()
	}
	served.UntilEnded()
}

// teller tells of each query before it is answered.
type teller struct {
	mysql.Handler
	port int
}

func (t teller) ComQuery(
	ctx context.Context, conn *mysql.Conn, query string, callback mysql.ResultSpoolFn,
) error {
	t.tell(conn, query)
	return t.Handler.ComQuery(ctx, conn, query, callback)
}

func (t teller) ComMultiQuery(
	ctx context.Context, conn *mysql.Conn, query string, callback mysql.ResultSpoolFn,
) (string, error) {
	t.tell(conn, query)
	return t.Handler.ComMultiQuery(ctx, conn, query, callback)
}

func (t teller) tell(conn *mysql.Conn, query string) {
	saw := "mysql"
	if conn.TLSEnabled() {
		saw = "tls with mysql"
	}
	served.Tell(t.port, conn.RemoteAddr().String(), saw, query)
}
