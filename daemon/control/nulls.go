package control

import "reflect"

// withoutNulls returns value with [] and {} where lists and maps are nil: a program that loops over an answer need not
// know that it may be null.
func withoutNulls(value any) any {
	if value == nil {
		return nil
	}
	copied := reflect.New(reflect.TypeOf(value)).Elem()
	copied.Set(reflect.ValueOf(value))
	fillNulls(copied)
	return copied.Interface()
}

func fillNulls(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillNulls(v.Field(i))
			}
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // json.RawMessage
		}
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fillNulls(v.Index(i))
		}
	}
}
