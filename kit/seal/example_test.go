package seal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/seal"
)

func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "seal")
	defer os.RemoveAll(dir)
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "odcm.db"), db.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	s, err := seal.Open(ctx, d, seal.Options{KeyFile: filepath.Join(dir, "key")})
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, _ := s.Seal([]byte("API-SECRET"), "space/api_key/space-1")
	plain, err := s.Open(sealed, "space/api_key/space-1")
	fmt.Println(string(plain), err)
	_, err = s.Open(sealed, "space/api_key/space-2") // copied into another row
	fmt.Println(odcm.CodeOf(err))
	// Output:
	// API-SECRET <nil>
	// seal.broken
}
