package muster_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/musterd/muster"
)

func ExampleListenAndServe() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") })
	if err := muster.ListenAndServe(":3000", nil); err != nil {
		log.Fatal(err)
	}
}

func ExampleServe() {
	srv := &http.Server{Addr: ":3000", ReadHeaderTimeout: 10 * time.Second}
	if err := muster.Serve(srv); err != nil {
		log.Fatal(err)
	}
}

// A server that is not net/http accepts from a listener and ends when the worker drains.
func ExampleListen() {
	l, err := muster.Listen("tcp", ":7000")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

// The worker takes no connection until its cache is warm.
func ExampleReady() {
	go func() {
		warmUp()
		muster.Ready()
	}()
	o := muster.Options{ManualReady: true}
	if err := o.ListenAndServe(":3000", nil); err != nil {
		log.Fatal(err)
	}
}

func warmUp() {}

// What runs beside the server ends with it, and takes the worker with it if it fails.
func ExampleGo() {
	muster.Go(func() {
		if err := consume(muster.Draining()); err != nil {
			muster.Dying(err)
		}
	})
	if err := muster.ListenAndServe(":3000", nil); err != nil {
		log.Fatal(err)
	}
}

func consume(stop <-chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	select {
	case <-stop:
	case <-ctx.Done():
	}
	return nil
}
