package bundle_test

import (
	"bytes"
	"testing"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/transfer/bundle"
)

// TestWriteRead: what is read is what was written, secrets with their place.
func TestWriteRead(t *testing.T) {
	t.Parallel()
	body, err := octopus.ParseObject([]byte(`{"Name":"Web","Password":{"HasValue":true,"NewValue":null,"Hint":null},"Variables":[{"Id":"v","Value":null},{"Id":"w","Value":"open"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var keys bundle.Keys
	var file bytes.Buffer
	b := &bundle.Bundle{Manifest: bundle.Manifest{Exported: time.Unix(1, 0).UTC()}, Items: []*bundle.Item{{Kind: "Projects", ID: "Projects-1", Body: body, Secrets: map[string]string{"/Password": "one", "/Variables/v/Value": "two"}}}}
	if err := b.Write(&file, "p", &keys); err != nil {
		t.Fatal(err)
	}
	again, err := bundle.Read(bytes.NewReader(file.Bytes()), int64(file.Len()), "p", &keys)
	if err != nil || len(again.Items) != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	i := again.Items[0]
	if err := bundle.Reveal(&i.Body, i.Secrets); err != nil {
		t.Fatal(err)
	}
	text, err := i.Body.MarshalJSON()
	if want := `{"Name":"Web","Password":{"HasValue":true,"NewValue":"one","Hint":null},"Variables":[{"Id":"v","Value":"two"},{"Id":"w","Value":"open"}]}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("PK"))
	f.Add([]byte{})
	var keys bundle.Keys
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := bundle.Read(bytes.NewReader(file), int64(len(file)), "x", &keys); err == nil {
			t.Error("something that nobody sealed was opened")
		}
	})
}
