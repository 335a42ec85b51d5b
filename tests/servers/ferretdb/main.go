// Command ferretdb serves the MongoDB wire protocol from SQLite files, for the tests on machines
// that have no mongod:
//
//	ferretdb -listen 127.0.0.1:27017 -directory /tmp/data
//
// FerretDB 1 finds the documents of an update or a delete in one step and changes them in another,
// while MongoDB does both as one for each document. Compare-and-set rests on that, so the updates and
// deletes of all clients are let through one at a time.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

const largestMessage = 48_000_000 // MongoDB's maxMessageSizeBytes

var oneAtATime sync.Mutex

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	directory := flag.String("directory", ".", "where the databases are kept")
	flag.Parse()
	socket := filepath.Join(*directory, "ferretdb.sock")
	_ = os.Remove(socket) // left behind when the last run was killed
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: socket},
		Handler:   "sqlite",
		SQLiteURL: "file:" + *directory + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(server.Run(context.Background())) }()
	server.MongoDBURI() // returns when it listens
	front, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := front.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client, socket)
	}
}

func serve(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		log.Print(err)
		return
	}
	defer server.Close()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		reply, err := roundTrip(server, request)
		if err != nil {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

func roundTrip(server net.Conn, request []byte) ([]byte, error) {
	if findsAndChanges(request) {
		oneAtATime.Lock()
		defer oneAtATime.Unlock()
	}
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	return readMessage(server)
}

// findsAndChanges tells by the name of the command, which is that of the first field of the document
// after the header (16 bytes), flags (4), kind of section (1), length (4) and type of the field (1).
func findsAndChanges(request []byte) bool {
	name, _, _ := bytes.Cut(request[min(26, len(request)):], []byte{0})
	switch string(name) {
	case "update", "delete", "findAndModify":
		return true
	}
	return false
}

// readMessage returns one message, which begins with its own length in four bytes.
func readMessage(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size < 16 || size > largestMessage {
		return nil, io.ErrUnexpectedEOF
	}
	message := make([]byte, size)
	copy(message, length[:])
	_, err := io.ReadFull(from, message[4:])
	return message, err
}
