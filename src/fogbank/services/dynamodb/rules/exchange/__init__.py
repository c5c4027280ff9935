"""Items as files have them that are imported and exported: DynamoDB JSON, Amazon Ion, CSV.

``records`` cuts a stream of bytes into records, ``packing`` inflates it first; each format has a
module that reads one record and, where exports have it, writes one. All of it is pure, and bounded
by what one record may have.
"""
