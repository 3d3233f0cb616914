// load-quicgo CERTIFICATE.der KEY.der ALPN: finishes handshakes on a port of 127.0.0.1, which it
// prints, and waits until the peers close.  One processor, so that it uses one core as the others do.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/quic-go/quic-go"
)

func configure(certificate, key, alpn string) (*tls.Config, error) {
	leaf, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	encoded, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(encoded)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{alpn},
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
		SessionTicketsDisabled: true,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: private}},
	}, nil
}

func serve(config *tls.Config) error {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	listener, err := transport.Listen(config, &quic.Config{})
	if err != nil {
		return err
	}
	fmt.Printf("port %d\n", socket.LocalAddr().(*net.UDPAddr).Port)
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() { <-conn.Context().Done() }()
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: load-quicgo CERTIFICATE.der KEY.der ALPN")
		os.Exit(2)
	}
	config, err := configure(os.Args[1], os.Args[2], os.Args[3])
	if err == nil {
		err = serve(config)
	}
	fmt.Fprintln(os.Stderr, "load-quicgo:", err)
	os.Exit(1)
}
