package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// A client that comes back to another worker resumes its session: all workers have the ticket keys of the first.
func TestNodeTLSTickets(t *testing.T) {
	t.Parallel()
	key, cert, pool := selfSigned(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		onNode(t, testutil.NodeVersions(), func(t *testing.T, major int) {
			t.Run(tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				r := runNodeOn(t, major, testutil.Port(t), []string{"KEY=" + key, "CERT=" + cert}, "-i", "2", fixture("https.js"))
				r.serving(2)
				client := &tls.Config{RootCAs: pool, ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				seen := map[int]bool{}
				for i := 0; len(seen) < 2; i++ {
					pid, resumed := askTLS(t, r.addr, client)
					seen[pid] = true
					if resumed != (i > 0) {
						t.Fatalf("visit %d, to %d: resumed is %v", i, pid, resumed)
					}
				}
				r.stopClean()
			})
		})
	}
}

// askTLS makes one request on a connection of its own.
func askTLS(t *testing.T, addr string, config *tls.Config) (pid int, resumed bool) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(testutil.Context(t), http.MethodGet, "https://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(body), "pid: %d resumed: %t", &pid, &resumed); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	return pid, resumed
}

// selfSigned writes a key and a certificate for localhost and returns their files, and a pool that trusts it.
func selfSigned(t *testing.T) (keyFile, certFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	dir := t.TempDir()
	return writePEM(t, filepath.Join(dir, "key"), "PRIVATE KEY", secret), writePEM(t, filepath.Join(dir, "cert"), "CERTIFICATE", der), pool
}

func writePEM(t *testing.T, file, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
