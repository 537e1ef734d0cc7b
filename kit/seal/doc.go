// Package seal keeps secrets in rows: whoever reads the database or a backup of it, and nothing else, learns none.
//
// It is an envelope. Secrets are sealed with a Tink AEAD keyset (AES-256-GCM), which lies in the database, so that every
// replica has it, wrapped under a key-encryption key of 32 bytes that lies elsewhere: in an environment variable, or in a
// file that is made on first run. Lose that key and every secret is lost: back it up, apart from the database. A check
// value of the key is kept beside the keyset, so that a wrong key is told from damage at start.
//
// A secret is bound to its place by associated data, "table/column/id": a sealed text that is copied into another row or
// column does not open there.
//
// [Sealer.RotateKeyset] makes a new key for what is sealed from now on; what was sealed before still opens. Other replicas
// learn of it when they meet the first secret that they cannot open. [Sealer.RotateKEK] wraps the same keyset under
// another key-encryption key.
package seal
