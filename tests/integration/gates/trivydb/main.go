// Makes a vulnerability database for Trivy from JSON: nested objects are buckets, everything else is a value.
//
// usage: trivydb FILE.json TRIVY.db
package main

import (
	"encoding/json"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

type holder interface {
	CreateBucketIfNotExists([]byte) (*bolt.Bucket, error)
}

func fill(into holder, buckets map[string]json.RawMessage, depth int) error {
	for name, raw := range buckets {
		bucket, err := into.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		entries := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &entries); err != nil {
			return err
		}
		if depth > 0 {
			if err := fill(bucket, entries, depth-1); err != nil {
				return err
			}
			continue
		}
		for key, value := range entries {
			if err := bucket.Put([]byte(key), value); err != nil {
				return err
			}
		}
	}
	return nil
}

func run() error {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var content struct{ Packages, Plain map[string]json.RawMessage }
	if err := json.Unmarshal(text, &content); err != nil {
		return err
	}
	database, err := bolt.Open(os.Args[2], 0o600, nil)
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Update(func(tx *bolt.Tx) error {
		if err := fill(tx, content.Packages, 1); err != nil {
			return err
		}
		return fill(tx, content.Plain, 0)
	})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
