// A Go worker: run it alone, under "muster run -- ./worker", or under any other master.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/musterd/muster"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "I am worker, pid: %d, ppid: %d\n", os.Getpid(), os.Getppid())
	})
	if err := muster.ListenAndServe(":3000", nil); err != nil {
		log.Fatal(err)
	}
}
