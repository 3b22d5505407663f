package secret

import "reflect"

// Masked returns value with the secrets in all its texts masked: a deep copy where it holds pointers, lists and maps, so that what others
// hold is not changed. A map of texts is one of variables, and a list of texts one of words. Unexported fields are not looked into.
func Masked[T any](value T) T {
	masked, ok := reflect.TypeAssert[T](maskedValue(reflect.ValueOf(&value).Elem()))
	if !ok { // a nil interface
		return value
	}
	return masked
}

func maskedValue(v reflect.Value) reflect.Value {
	if !holdsText(v.Type()) {
		return v
	}
	switch v.Kind() {
	case reflect.String:
		if masked := Text(v.String()); masked != v.String() {
			return textOf(v.Type(), masked)
		}
		return v
	case reflect.Interface, reflect.Pointer:
		return maskedReference(v)
	case reflect.Struct:
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		for i := range v.NumField() {
			if field := copied.Field(i); field.CanSet() && holdsText(field.Type()) {
				field.Set(maskedValue(v.Field(i)))
			}
		}
		return copied
	case reflect.Slice:
		return maskedList(v)
	case reflect.Map:
		return maskedMap(v)
	default:
		return v
	}
}

func maskedReference(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return v
	}
	inner := maskedValue(v.Elem())
	copied := reflect.New(v.Type()).Elem()
	if v.Kind() == reflect.Interface {
		copied.Set(inner)
		return copied
	}
	target := reflect.New(v.Type().Elem())
	target.Elem().Set(inner)
	copied.Set(target)
	return copied
}

func maskedList(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return v
	}
	copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	if v.Type().Elem().Kind() == reflect.String {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = v.Index(i).String()
		}
		for i, word := range Words(words) {
			copied.Index(i).SetString(word)
		}
		return copied
	}
	for i := range v.Len() {
		copied.Index(i).Set(maskedValue(v.Index(i)))
	}
	return copied
}

func maskedMap(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return v
	}
	copied := reflect.MakeMapWithSize(v.Type(), v.Len())
	for entries := v.MapRange(); entries.Next(); {
		key, value := entries.Key(), entries.Value()
		if key.Kind() == reflect.String && value.Kind() == reflect.String {
			copied.SetMapIndex(key, textOf(value.Type(), Value(key.String(), value.String())))
			continue
		}
		copied.SetMapIndex(key, maskedValue(value))
	}
	return copied
}

func textOf(t reflect.Type, text string) reflect.Value {
	v := reflect.New(t).Elem()
	v.SetString(text)
	return v
}

// holdsText is false of types that are no text and lead to none: most of what there is.
func holdsText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
		return t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8
	case reflect.Struct:
		return t.PkgPath() != "time"
	default:
		return false
	}
}
