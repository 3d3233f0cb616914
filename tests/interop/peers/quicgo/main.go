// A miner and a node on top of quic-go and Go's crypto/tls, for `make interop`.  The QUIC and TLS are
// theirs; what is here is only the miner protocol.  It prints one JSON object for each thing that happens.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// options are `ROLE --name value ...`; a flag has the value "yes".
type options map[string]string

func (o options) count(name string, otherwise int) int {
	if n, err := strconv.Atoi(o[name]); err == nil {
		return n
	}
	return otherwise
}

func (o options) set(name string) bool { return o[name] == "yes" }

// pause makes a session last until the event of its case.
func (o options) pause() { time.Sleep(time.Duration(o.count("pause-ms", 0)) * time.Millisecond) }

var output sync.Mutex

type event map[string]any

func say(e event) {
	line, _ := json.Marshal(e)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}

// groups are one only, so that a finished handshake tells which group it used, or those of a policy of ours.
func groups(o options) ([]tls.CurveID, error) {
	switch o["groups"] {
	case "pq":
		return []tls.CurveID{tls.X25519MLKEM768}, nil
	case "classical":
		return []tls.CurveID{tls.X25519}, nil
	case "off":
		return []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}, nil
	case "hybrid":
		return []tls.CurveID{tls.X25519MLKEM768, tls.X25519}, nil
	case "pq-only":
		return []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}, nil
	case "cnsa-2.0":
		return []tls.CurveID{tls.MLKEM1024, tls.SecP384r1MLKEM1024}, nil
	}
	return nil, fmt.Errorf("no such --groups: %s", o["groups"])
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: peer-quicgo client|server|crowd --OPTION VALUE...")
		os.Exit(2)
	}
	o := options{}
	for i := 2; i+1 < len(os.Args); i += 2 {
		o[strings.TrimLeft(os.Args[i], "-")] = os.Args[i+1]
	}
	limit := time.Duration(o.count("timeout", 30)) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var err error
	switch os.Args[1] {
	case "client":
		err = runClient(ctx, o)
	case "server":
		err = runServer(ctx, o)
	case "crowd":
		err = runCrowd(ctx, o)
	default:
		err = fmt.Errorf("no such role: %s", os.Args[1])
	}
	if err != nil {
		say(event{"event": "failed", "text": err.Error()})
		os.Exit(1)
	}
}
