"""Tink's own streaming AEAD over a raw key: who can read what we write, and write what we read."""

import io

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

TYPE_URL = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"

streaming_aead.register()


class _Kept(io.BytesIO):
    """Tink closes what it writes to."""

    def close(self) -> None:
        self.content = self.getvalue()


def seal(key: bytes, bound: bytes, plain: bytes) -> bytes:
    kept = _Kept()
    with _primitive(key).new_encrypting_stream(kept, bound) as stream:
        stream.write(plain)
    return kept.content


def open_sealed(key: bytes, bound: bytes, sealed: bytes) -> bytes:
    with _primitive(key).new_decrypting_stream(io.BytesIO(sealed), bound) as stream:
        return bytes(stream.read())


def _primitive(key: bytes) -> streaming_aead.StreamingAead:
    """AES256_GCM_HKDF_1MB, as Tink's template of that name has it."""
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=1024 * 1024, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    assert params == _template_params()
    made = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=key, params=params)
    data = tink_pb2.KeyData(
        type_url=TYPE_URL, value=made.SerializeToString(), key_material_type=tink_pb2.KeyData.SYMMETRIC
    )
    entry = tink_pb2.Keyset.Key(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[entry]).SerializeToString()
    handle = tink.proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def _template_params() -> aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams:
    template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    return aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKeyFormat.FromString(template.value).params
